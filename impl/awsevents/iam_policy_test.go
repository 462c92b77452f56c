package awsevents_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/awsevents"
)

// called returns the API calls in the code of a folder, found by the clients' names. It reads every file, so that
// calls that no test makes count too.
func called(t *testing.T, folder string) map[string]bool {
	t.Helper()
	services := map[string]string{
		"admin": "ses", "sender": "ses", "topics": "sns", "queues": "sqs", "client": "sqs", "identity": "sts",
	}
	notTests := func(info fs.FileInfo) bool { return !strings.HasSuffix(info.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), folder, notTests, 0) //nolint:staticcheck // types are not needed
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, one := range packages {
		ast.Inspect(one, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if name, isPages := strings.CutSuffix(method.Sel.Name, "Paginator"); isPages {
				found[method.X.(*ast.Ident).Name+":"+strings.TrimPrefix(name, "New")] = true
			}
			if client, ok := method.X.(*ast.SelectorExpr); ok && services[client.Sel.Name] != "" && ast.IsExported(method.Sel.Name) {
				found[services[client.Sel.Name]+":"+method.Sel.Name] = true
			}
			return true
		})
	}
	return found
}

func actions(t *testing.T, withQueue bool, make func(awsevents.Resources, bool) (string, error)) map[string]bool {
	t.Helper()
	policy, err := make(awsevents.Resources{Topic: "arn:topic", Queue: "arn:queue", DeadQueue: "arn:dead"}, withQueue)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Version   string
		Statement []struct {
			Sid, Effect      string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, one := range document.Statement {
		if one.Effect != "Allow" || one.Sid == "" || len(one.Resource) == 0 || document.Version != "2012-10-17" {
			t.Errorf("a statement is incomplete: %+v", one)
		}
		for _, action := range one.Action {
			found[action] = true
			// Only SES permissions cover every resource: a policy cannot name domains that do not exist yet. The attributes of
			// subscriptions have no resource.
			if !strings.HasPrefix(action, "ses:") && !strings.HasSuffix(action, "SubscriptionAttributes") && slices.Contains(one.Resource, "*") {
				t.Errorf("%s is allowed everywhere", action)
			}
		}
	}
	return found
}

// The policies allow exactly what the code calls.
func TestPoliciesHoldWhatIsCalled(t *testing.T) {
	t.Parallel()
	calls := called(t, ".")
	maps.Copy(calls, called(t, "../ses"))
	if len(calls) < 20 || !calls["ses:SendEmail"] || !calls["sns:ListSubscriptionsByTopic"] || !calls["sqs:ReceiveMessage"] {
		t.Fatalf("found %v", calls)
	}
	needed := map[string]bool{}
	for call := range calls {
		if permission := awsevents.Permission(call); permission != "" {
			needed[permission] = true
		}
	}
	allowed := map[string]bool{}
	for _, withQueue := range []bool{true, false} {
		maps.Copy(allowed, actions(t, withQueue, awsevents.RuntimePolicy))
		maps.Copy(allowed, actions(t, withQueue, awsevents.SetupPolicy))
	}
	if !maps.Equal(needed, allowed) {
		t.Errorf("called %q\nallowed %q", slices.Sorted(maps.Keys(needed)), slices.Sorted(maps.Keys(allowed)))
	}
}
