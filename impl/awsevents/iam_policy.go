package awsevents

import (
	"encoding/json"
	"fmt"
)

// Resources are the ARNs that a policy is restricted to. Empty means any.
type Resources struct {
	Topic, Queue, DeadQueue string // ARNs
}

// RuntimePolicy returns the least IAM policy, as JSON, for running serve, worker and doctor. Without a queue it has
// no SQS permissions. Its SES permissions cover every identity, because organizations bring their own domains.
func RuntimePolicy(resources Resources, withQueue bool) (string, error) {
	statements := []statement{allow("MailStackMail", "*",
		"ses:CreateConfigurationSet", "ses:CreateEmailIdentity", "ses:DeleteEmailIdentity", "ses:DeleteSuppressedDestination",
		"ses:GetAccount", "ses:GetConfigurationSet", "ses:GetEmailIdentity", "ses:PutConfigurationSetSuppressionOptions",
		"ses:PutEmailIdentityDkimSigningAttributes", "ses:PutEmailIdentityMailFromAttributes", "ses:SendEmail",
	)}
	if withQueue {
		statements = append(statements, allow("MailStackEvents", resources.Queue, "sqs:DeleteMessage", "sqs:ReceiveMessage"))
	}
	statements = append(statements,
		allow("MailStackDoctor", "*", "ses:GetConfigurationSetEventDestinations"),
		allow("MailStackDoctorTopic", resources.Topic, "sns:ListSubscriptionsByTopic"))
	if withQueue {
		statements = append(statements, allow("MailStackDoctorQueue", resources.Queue, "sqs:GetQueueAttributes"))
	}
	return policyOf(statements...)
}

// SetupPolicy returns the least IAM policy for setting up the event path: configuration set, topic and queue.
func SetupPolicy(resources Resources, withQueue bool) (string, error) {
	statements := []statement{
		allow("MailStackSetup", "*",
			"ses:CreateConfigurationSet", "ses:CreateConfigurationSetEventDestination", "ses:GetConfigurationSet",
			"ses:GetConfigurationSetEventDestinations", "ses:PutConfigurationSetSuppressionOptions",
			"ses:UpdateConfigurationSetEventDestination"),
		allow("MailStackSetupTopic", resources.Topic,
			"sns:CreateTopic", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:SetTopicAttributes", "sns:Subscribe"),
	}
	if withQueue {
		queues := allow("MailStackSetupQueue", resources.Queue,
			"sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SetQueueAttributes")
		if resources.DeadQueue != "" {
			queues.Resource = append(queues.Resource, resources.DeadQueue)
		}
		statements = append(statements, queues)
	}
	return policyOf(statements...)
}

func allow(sid, resource string, actions ...string) statement {
	if resource == "" {
		resource = "*"
	}
	return statement{Sid: sid, Effect: "Allow", Action: actions, Resource: []string{resource}}
}

func policyOf(statements ...statement) (string, error) {
	encoded, err := json.MarshalIndent(map[string]any{"Version": policyVersion, "Statement": statements}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write a policy: %w", err)
	}
	return string(encoded), nil
}

// Permission returns the IAM permission that an API call needs, which usually has the call's own name. Empty means
// none.
func Permission(call string) string {
	switch call {
	case "sqs:DeleteMessageBatch":
		return "sqs:DeleteMessage"
	case "sts:GetCallerIdentity":
		return ""
	}
	return call
}
