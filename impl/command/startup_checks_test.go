package command_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store/storetest"
)

const (
	eventsTopic = "arn:aws:sns:eu-west-1:000000000000:mailstack"
	eventsQueue = "arn:aws:sqs:eu-west-1:000000000000:events"
)

// account is an account of AWS, beside a database and a resolver.
type account struct {
	*sessim.Simulator
	url         string
	environment []string
}

func newAccount(t *testing.T, database, resolver string) *account {
	t.Helper()
	simulator, err := sessim.New(sessim.Config{Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(simulator)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		simulator.ClearFaults()
		if err := simulator.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := ses.New(t.Context(), ses.Config{
		Region: "eu-west-1", Endpoint: server.URL, StaticAccessKey: "test", StaticSecretKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.CreateIdentity(t.Context(), "acme.example"); err != nil {
		t.Fatal(err)
	}
	return &account{Simulator: simulator, url: server.URL, environment: environmentOf(database, server.URL, resolver)}
}

// setUp runs `mailstack ses setup`, adds the variables it exports to the environment, and returns what it printed.
func (a *account) setUp(t *testing.T, arguments ...string) string {
	t.Helper()
	setup := launch(t, a.environment, append([]string{"ses", "setup"}, arguments...)...)
	setup.exits(0)
	for line := range strings.Lines(setup.stdout.String()) {
		if variable, found := strings.CutPrefix(strings.TrimSpace(line), "export "); found && !slices.Contains(a.environment, variable) {
			a.environment = append(a.environment, variable)
		}
	}
	return setup.stdout.String()
}

// signed makes a call of the SES API.
func (a *account) signed(t *testing.T, method, path, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/ses/aws4_request, SignedHeaders=host, Signature=00")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %v", method, path, response.Status, err)
	}
}

func migrated(t *testing.T) string {
	t.Helper()
	database := storetest.EmptyURL(t)
	succeed(t, nil, "migrate", "--database-url="+database)
	return database
}

func startResolver(t *testing.T) string {
	t.Helper()
	names, err := dns.Serve(t.Context(), dns.NewStaticZone(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = names.Close(t.Context()) })
	return names.Addr()
}

// TestSetupTwiceIsSetupOnce: a second setup finds everything, and creates and changes nothing.
func TestSetupTwiceIsSetupOnce(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]string{
		"queue": {"--queue=events"}, "endpoint": {"--endpoint=http://127.0.0.1:1/internal/ses/events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, "", "")
			first := a.setUp(t, arguments...)
			if strings.Contains(first, "found ") || strings.Count(first, "made ") < 4 {
				t.Errorf("the first setup says:\n%s", first)
			}
			second := a.setUp(t, arguments...)
			if strings.Contains(second, "made ") || strings.Contains(second, "changed ") {
				t.Errorf("the second setup says:\n%s", second)
			}
			if exports(first) != exports(second) || !strings.Contains(exports(first), "MAILSTACK_EVENTS_TOPICS="+eventsTopic) {
				t.Errorf("exports %q, then %q", exports(first), exports(second))
			}
			if waits := strings.Contains(second, "not confirmed"); waits != (name == "endpoint") {
				t.Errorf("waits for a confirmation: %t", waits)
			}
		})
	}
}

func exports(printed string) string {
	var found []string
	for line := range strings.Lines(printed) {
		if strings.HasPrefix(line, "export ") {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

// TestSetupMends: setup repairs what is broken or switched off.
func TestSetupMends(t *testing.T) {
	t.Parallel()
	a := newAccount(t, "", "")
	a.setUp(t, "--queue=events")
	a.signed(t, http.MethodPut, "/v2/email/configuration-sets/mailstack/event-destinations/mailstack",
		`{"EventDestination":{"Enabled":false,"MatchingEventTypes":["SEND"],"SnsDestination":{"TopicArn":"`+eventsTopic+`"}}}`)
	a.signed(t, http.MethodPut, "/v2/email/configuration-sets/mailstack/suppression-options", `{"SuppressedReasons":["BOUNCE"]}`)
	a.Topics().Remove(eventsQueue)
	printed := a.setUp(t, "--queue=events")
	for _, line := range []string{"changed  configuration set", "found    topic", "made     queue", "changed  event destination"} {
		if !strings.Contains(printed, line) {
			t.Errorf("it does not say %q:\n%s", line, printed)
		}
	}
	if again := a.setUp(t, "--queue=events"); strings.Contains(again, "changed ") {
		t.Errorf("the next setup says:\n%s", again)
	}
}

func TestSetupRefusesWrongUse(t *testing.T) {
	t.Parallel()
	for says, arguments := range map[string][]string{
		"--endpoint https":            {},
		"either":                      {"--queue=a", "--endpoint=https://a.example/x"},
		"https URL":                   {"--endpoint=http://a.example/x"},
		"name of a queue":             {"--queue=a b"},
		"--topic":                     {"--queue=a", "--topic=a b"},
		"MAILSTACK_CONFIGURATION_SET": {"--queue=a", "--configuration-set="},
	} {
		if _, stderr, code := execute(t, append([]string{"ses", "setup"}, arguments...)...); code != 2 || !strings.Contains(stderr, says) {
			t.Errorf("%v: exit code %d: %s", arguments, code, stderr)
		}
	}
}

// permissions returns the actions of a policy.
func permissions(t *testing.T, policy string) []string {
	t.Helper()
	var document struct{ Statement []struct{ Action []string } }
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		t.Fatalf("%v: %s", err, policy)
	}
	var found []string
	for _, statement := range document.Statement {
		found = append(found, statement.Action...)
	}
	return found
}

func printedPolicy(t *testing.T, arguments ...string) []string {
	t.Helper()
	stdout, stderr, code := execute(t, append([]string{"ses", "policy"}, arguments...)...)
	if code != 0 {
		t.Fatal(stderr)
	}
	return permissions(t, stdout)
}

// permitted demands that a policy allows all calls that were made.
func permitted(t *testing.T, calls, policy []string) {
	t.Helper()
	if len(calls) == 0 {
		t.Error("nothing was called")
	}
	for _, call := range calls {
		if needed := awsevents.Permission(call); needed != "" && !slices.Contains(policy, needed) {
			t.Errorf("%s was called, and the policy does not allow it", call)
		}
	}
}

func TestSetupNeedsWhatItsPolicyAllows(t *testing.T) {
	t.Parallel()
	a := newAccount(t, "", "")
	before := a.Calls()
	printed := a.setUp(t, "--queue=events")
	a.signed(t, http.MethodPut, "/v2/email/configuration-sets/mailstack/event-destinations/mailstack",
		`{"EventDestination":{"Enabled":false,"MatchingEventTypes":["SEND"],"SnsDestination":{"TopicArn":"`+eventsTopic+`"}}}`)
	a.signed(t, http.MethodPut, "/v2/email/configuration-sets/mailstack/suppression-options", `{"SuppressedReasons":["BOUNCE"]}`)
	a.setUp(t, "--queue=events")
	calls := slices.DeleteFunc(a.Calls(), func(call string) bool { return slices.Contains(before, call) })
	policy := printedPolicy(t, "--setup")
	permitted(t, calls, policy)
	for _, action := range policy {
		if !slices.ContainsFunc(calls, func(call string) bool { return awsevents.Permission(call) == action }) {
			t.Errorf("the policy allows %s, which setup does not need", action)
		}
	}
	_, running, found := strings.Cut(printed, "doctor:\n")
	if want := printedPolicy(t); !found || !slices.Equal(permissions(t, running), want) {
		t.Errorf("setup prints another policy for running than %q:\n%s", want, printed)
	}
	for _, action := range printedPolicy(t, "--endpoint", "--setup") {
		if action == "sqs:ReceiveMessage" {
			t.Errorf("setup may read the dead letters")
		}
	}
}
