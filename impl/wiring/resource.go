package wiring

import (
	"encoding/json"
	"fmt"
	"reflect"
)

const policyVersion = "2012-10-17"

// statement is one of a policy, under the names of AWS.
type statement struct {
	Sid       string                       `json:",omitempty"`
	Effect    string                       `json:""`
	Principal map[string]string            `json:",omitempty"`
	Action    []string                     `json:""`
	Resource  []string                     `json:""`
	Condition map[string]map[string]string `json:",omitempty"`
}

// publishing lets SES publish to a topic what happens to the mail of one configuration set of the account, and nobody
// else's SES. https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html
func publishing(topic, account, configurationSet string) statement {
	return statement{
		Sid: "MailStackEvents", Effect: "Allow", Principal: map[string]string{"Service": "ses.amazonaws.com"},
		Action: []string{"sns:Publish"}, Resource: []string{topic},
		Condition: map[string]map[string]string{"StringEquals": {"AWS:SourceAccount": account, "AWS:SourceArn": configurationSet}},
	}
}

// sending lets a topic send to a queue.
// https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
func sending(queue, topic string) statement {
	return statement{
		Sid: "MailStackEvents", Effect: "Allow", Principal: map[string]string{"Service": "sns.amazonaws.com"},
		Action: []string{"sqs:SendMessage"}, Resource: []string{queue},
		Condition: map[string]map[string]string{"ArnEquals": {"aws:SourceArn": topic}},
	}
}

// with returns a policy in which a statement stands, in the place of an earlier one of its name; what others wrote stays.
// changed is false where it stood there already.
func with(policy string, wanted statement) (merged string, changed bool, err error) {
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
		if !ok || named["Sid"] != wanted.Sid {
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

// plain is a statement as it is read from a policy.
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

// short writes a list of one as the one, which means the same.
func short(statement map[string]any) map[string]any {
	for _, member := range []string{"Action", "Resource"} {
		if list, ok := statement[member].([]any); ok && len(list) == 1 {
			statement[member] = list[0]
		}
	}
	return statement
}
