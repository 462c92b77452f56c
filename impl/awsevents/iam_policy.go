package awsevents

import (
	"encoding/json"
	"fmt"
)

// Resources are what a policy is about. Empty: any.
type Resources struct {
	Topic, Queue, DeadQueue string // ARNs
}

// RuntimePolicy is the least policy of those who run serve, worker and doctor, in the JSON of IAM. Without a queue it has
// nothing of SQS. What SES does is about every identity: organizations bring their own domains.
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

// SetupPolicy is the least policy of those who set up the wiring.
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

// Permission is that which a call of an API needs, where it is not the call's own name. Empty: it needs none.
func Permission(call string) string {
	switch call {
	case "sqs:DeleteMessageBatch":
		return "sqs:DeleteMessage"
	case "sts:GetCallerIdentity":
		return ""
	}
	return call
}
