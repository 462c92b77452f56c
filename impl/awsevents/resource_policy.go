package awsevents

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

const (
	policyVersion = "2012-10-17"
	// sidPrefix begins the names of our statements. A statement named by the prefix alone may be about any source.
	sidPrefix = "MailStackEvents"
	// sidDigits is how many hexadecimal digits of the source's hash follow the prefix. The policy of a topic or
	// queue has one statement per source, and a name may hold only letters and digits.
	sidDigits = 12
)

// statement is one statement of a policy, with AWS's field names.
type statement struct {
	Sid       string                       `json:",omitempty"`
	Effect    string                       `json:""`
	Principal map[string]string            `json:",omitempty"`
	Action    []string                     `json:""`
	Resource  []string                     `json:""`
	Condition map[string]map[string]string `json:",omitempty"`
}

// allowPublish lets SES publish to a topic the events of one configuration set of this account, and no other
// account's events.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html
func allowPublish(topic, account, configurationSet string) statement {
	return statement{
		Sid: sidOf(configurationSet), Effect: "Allow", Principal: map[string]string{"Service": "ses.amazonaws.com"},
		Action: []string{"sns:Publish"}, Resource: []string{topic},
		Condition: map[string]map[string]string{"StringEquals": {"AWS:SourceAccount": account, "AWS:SourceArn": configurationSet}},
	}
}

// allowSend lets a topic send to a queue.
// https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
func allowSend(queue, topic string) statement {
	return statement{
		Sid: sidOf(topic), Effect: "Allow", Principal: map[string]string{"Service": "sns.amazonaws.com"},
		Action: []string{"sqs:SendMessage"}, Resource: []string{queue},
		Condition: map[string]map[string]string{"ArnEquals": {"aws:SourceArn": topic}},
	}
}

// sidOf returns the name of the statement about a source.
func sidOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	return sidPrefix + hex.EncodeToString(sum[:])[:sidDigits]
}

// mergeStatement returns the policy with the wanted statement, which replaces an earlier one of ours about the same
// source. Statements of others, and ours about other sources, stay. If the policy has the statement already,
// changed is false.
func mergeStatement(policy string, wanted statement) (merged string, changed bool, err error) {
	document := map[string]any{"Version": policyVersion}
	if policy != "" {
		if err := json.Unmarshal([]byte(policy), &document); err != nil {
			return "", false, fmt.Errorf("read the policy that is there: %w", err)
		}
	}
	statements := []any{}
	switch known := document["Statement"].(type) {
	case []any:
		statements = known
	case map[string]any: // a single one needs no list
		statements = append(statements, known)
	}
	ours, err := plain(wanted)
	if err != nil {
		return "", false, err
	}
	kept := make([]any, 0, len(statements)+1)
	for _, one := range statements {
		named, ok := one.(map[string]any)
		if !ok || !replaces(ours, named) {
			kept = append(kept, one)
			continue
		}
		if reflect.DeepEqual(short(named), ours) {
			return policy, false, nil
		}
	}
	document["Statement"] = append(kept, ours)
	encoded, err := json.Marshal(document)
	if err != nil {
		return "", false, fmt.Errorf("write a policy: %w", err)
	}
	return string(encoded), true, nil
}

// replaces reports whether an existing statement is an earlier one of ours about the same source.
func replaces(ours, there map[string]any) bool {
	return there["Sid"] == ours["Sid"] || (there["Sid"] == sidPrefix && sourceOf(there) == sourceOf(ours))
}

// sourceOf returns the ARN to which a statement is restricted, or "". The key of a condition is case-insensitive.
func sourceOf(statement map[string]any) string {
	conditions, _ := statement["Condition"].(map[string]any)
	for _, compared := range conditions {
		keys, _ := compared.(map[string]any)
		for key, value := range keys {
			if strings.EqualFold(key, "aws:SourceArn") {
				source, _ := value.(string)
				return source
			}
		}
	}
	return ""
}

// plain returns a statement in the form in which one is read from a policy.
func plain(wanted statement) (map[string]any, error) {
	encoded, err := json.Marshal(wanted)
	if err != nil {
		return nil, fmt.Errorf("write a statement: %w", err)
	}
	var found map[string]any
	if err := json.Unmarshal(encoded, &found); err != nil {
		return nil, fmt.Errorf("read a statement: %w", err)
	}
	return short(found), nil
}

// short replaces a list of one element by that element, which means the same.
func short(statement map[string]any) map[string]any {
	for _, member := range []string{"Action", "Resource"} {
		if list, ok := statement[member].([]any); ok && len(list) == 1 {
			statement[member] = list[0]
		}
	}
	return statement
}
