// Package policies reads the policies of topics, queues and subscriptions: who may act, and when SNS posts again.
package policies

import (
	"encoding/json"
	"slices"
	"strings"
)

// statement is one statement of a resource's policy, as far as it is simulated: it allows a service an action.
type statement struct {
	Effect    string
	Principal struct{ Service oneOrMany }
	Action    oneOrMany
	Resource  oneOrMany
	Condition map[string]map[string]oneOrMany
}

// oneOrMany is a string or a list of strings.
type oneOrMany []string

// UnmarshalJSON decodes either form.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(o))
}

// Allows reports whether a policy of an account lets a service act on a resource on behalf of a source. Statements about
// principals other than services allow nothing here.
func Allows(policy, account, service, action, resource, source string) bool {
	var document struct{ Statement []json.RawMessage }
	if json.Unmarshal([]byte(policy), &document) != nil {
		return false
	}
	return slices.ContainsFunc(document.Statement, func(raw json.RawMessage) bool {
		var one statement
		return json.Unmarshal(raw, &one) == nil && one.Effect == "Allow" && slices.Contains(one.Principal.Service, service) &&
			slices.ContainsFunc(one.Action, func(a string) bool { return strings.EqualFold(a, action) }) &&
			slices.Contains(one.Resource, resource) && one.holds(account, source)
	})
}

// holds reports whether the conditions about the origin of a call hold. Any other condition counts as not holding.
func (s statement) holds(account, source string) bool {
	for _, keys := range s.Condition {
		for key, wanted := range keys {
			switch strings.ToLower(key) {
			case "aws:sourceaccount":
				if !slices.Contains(wanted, account) {
					return false
				}
			case "aws:sourcearn":
				if !slices.Contains(wanted, source) {
					return false
				}
			default:
				return false
			}
		}
	}
	return true
}
