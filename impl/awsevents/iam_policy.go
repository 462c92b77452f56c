package awsevents

import (
	"encoding/json"
	"fmt"
)

// Resources are the ARNs that a policy is restricted to. Empty means any.
type Resources struct {
	Topic, Queue, DeadQueue string // ARNs
}

// anyResource is for actions whose resource cannot be named: domains that do not exist yet, and the attributes of subscriptions,
// for which SNS knows no resource.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
const anyResource = "*"

// RuntimePolicy returns the least IAM policy, as JSON, for running serve, worker, doctor and redrive. Without a queue its only
// SQS permissions are about the dead letters. Its SES permissions cover every identity, because organizations bring their own
// domains.
func RuntimePolicy(resources Resources, withQueue bool) (string, error) {
	statements := []statement{allow("MailStackMail", "*",
		"ses:CreateConfigurationSet", "ses:CreateEmailIdentity", "ses:CreateTenant", "ses:CreateTenantResourceAssociation",
		"ses:DeleteEmailIdentity", "ses:DeleteSuppressedDestination", "ses:GetAccount", "ses:GetConfigurationSet",
		"ses:GetEmailIdentity", "ses:GetTenant", "ses:ListTenants", "ses:PutConfigurationSetSuppressionOptions",
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
	} else {
		statements = append(statements, allow("MailStackDoctorSubscription", anyResource, "sns:GetSubscriptionAttributes"))
	}
	statements = append(statements, allow("MailStackDeadLetters", resources.DeadQueue,
		"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"))
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
	queues := allow("MailStackSetupQueue", resources.DeadQueue,
		"sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SetQueueAttributes")
	if !withQueue {
		return policyOf(append(statements, queues, allow("MailStackSetupSubscription", anyResource,
			"sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"))...)
	}
	if resources.Queue != "" {
		queues.Resource = append([]string{resources.Queue}, queues.Resource...)
	}
	return policyOf(append(statements, queues)...)
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
