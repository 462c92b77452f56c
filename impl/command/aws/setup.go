// Package aws has the commands "mailstack ses", which work on an AWS account.
//
//   - setup.go: creating or repairing what SES events need, and the IAM policies for it
//   - tenants.go: a tenant at SES for each organization, on and off
//   - redrive.go: storing what lies in a dead-letter queue
package aws

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/ses"
)

// Command is "mailstack ses".
type Command struct {
	Redrive redrive `cmd:"" help:"Store the events that lie in the dead-letter queue."`
	Setup   setup   `cmd:"" help:"Create, find or repair configuration set, topic, queue, subscription and event destination."`
	Tenants tenants `cmd:"" help:"Give every organization a tenant of its own at SES, or stop using tenants."`
	Policy  policy  `cmd:"" help:"Print the least IAM policy for running MailStack, or for setting it up."`
}

type setup struct {
	components.SESFlags
	Topic    string `default:"mailstack" placeholder:"NAME" help:"Name of the SNS topic. Default: mailstack."`
	Queue    string `placeholder:"NAME" help:"Name of the SQS queue that receives events: events wait there while the server is down."`
	Endpoint string `placeholder:"URL" help:"Instead of a queue, URL to which the topic posts events: https://<your host>/internal/ses/events."`
	Tracking bool   `help:"Track opens and clicks in the mail of every organization: SES rewrites links and adds an image. Without it tracking is switched off."`
}

// Help is shown by --help.
func (*setup) Help() string {
	return `Works in the account and region of the AWS credentials and AWS_REGION. It is safe to repeat: settings that are right stay, and so do statements that others added to a policy. It prints the variables to export and the least policy for running MailStack; "mailstack ses policy --setup" prints the least policy for running this command.

Prefer a queue, which needs no confirmation: events wait in it for up to 14 days, and messages that cannot be read go to a second queue, whose name ends in -dead.

An endpoint must confirm its subscription, which "mailstack serve" does once it knows the topic: export what is printed, start it, and run this command again. SNS posts an event again for an hour, the longest that it offers, and then puts it into a queue that is named like the topic and ends in -dead, for up to 14 days; "mailstack ses redrive" stores it from there.`
}

func (c *setup) check() error {
	if (c.Endpoint == "") == (c.Queue == "") {
		return components.Usagef("give either --queue NAME or --endpoint https://…/internal/ses/events")
	}
	if c.ConfigurationSet == "" {
		return components.Usagef("MAILSTACK_CONFIGURATION_SET is empty: events belong to a configuration set")
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`).MatchString(c.Topic) {
		return components.Usagef("--topic is %q: give it at most 256 letters, digits, - and _", c.Topic)
	}
	// SQS limits names to 80 characters, and the dead-letter queue adds a suffix.
	if c.Queue != "" && !regexp.MustCompile(`^[A-Za-z0-9_-]{1,75}$`).MatchString(c.Queue) {
		return components.Usagef("--queue is %q: give it the name of a queue, at most 75 letters, digits, - and _", c.Queue)
	}
	if c.Endpoint == "" {
		return nil
	}
	if len(c.Topic) > 75 {
		return components.Usagef("--topic is %q: with --endpoint give it at most 75 characters, for the name of the dead-letter queue", c.Topic)
	}
	at, err := url.Parse(c.Endpoint)
	if err != nil || at.Host == "" || at.Scheme != "https" && (at.Scheme != "http" || !net.ParseIP(at.Hostname()).IsLoopback()) {
		return components.Usagef("--endpoint is %q: it must be an https URL", c.Endpoint)
	}
	return nil
}

// Run sets everything up. The event destination comes last: SES then checks that it may publish to the topic.
func (c *setup) Run(ctx context.Context, process *components.Process) error {
	if err := c.check(); err != nil {
		return err
	}
	account, client, err := components.AWSClients(ctx, c.SESFlags)
	if err != nil {
		return err
	}
	caller, err := client.Caller(ctx)
	if err != nil {
		return err
	}
	report := func(state ses.Change, what, which string) error {
		return process.Printf("%-8s %-18s %s\n", state, what, which)
	}
	state, err := account.SetUpConfigurationSet(ctx)
	if err != nil {
		return fmt.Errorf("set up the configuration set: %w", err)
	}
	if err := report(state, "configuration set", c.ConfigurationSet); err != nil {
		return err
	}
	topic, state, err := client.EnsureTopic(ctx, caller, c.Topic, c.ConfigurationSet)
	if err != nil {
		return err
	}
	if err := report(state, "topic", topic); err != nil {
		return err
	}
	way, err := c.subscribe(ctx, client, topic, report)
	if err != nil {
		return err
	}
	if state, err = account.EnsureDestination(ctx, topic, c.Tracking); err != nil {
		return fmt.Errorf("set up the event destination: %w", err)
	}
	if err := report(state, "event destination", topic); err != nil {
		return err
	}
	return c.explain(process, topic, way)
}

// way is how events arrive: in a queue, or at an endpoint, which must confirm its subscription.
type way struct {
	queueURL, queueARN string
	deadARN            string // of the dead-letter queue
	confirmed          bool
}

func (c *setup) subscribe(
	ctx context.Context, client *awsevents.Client, topic string, report func(ses.Change, string, string) error,
) (way, error) {
	found := way{}
	protocol, endpoint := "sqs", ""
	if c.Queue == "" {
		at, err := url.Parse(c.Endpoint)
		if err != nil {
			return found, components.Usagef("--endpoint: %w", err)
		}
		protocol, endpoint = at.Scheme, c.Endpoint
		queue, arn, state, err := client.EnsureDeadLetters(ctx, topic)
		if err != nil {
			return found, err
		}
		if err := report(state, "dead-letter queue", queue.URL); err != nil {
			return found, err
		}
		found.deadARN = arn
	} else {
		queue, arn, state, err := client.EnsureQueue(ctx, c.Queue, topic)
		if err != nil {
			return found, err
		}
		if err := report(state, "queue", queue.URL); err != nil {
			return found, err
		}
		found.queueURL, found.queueARN, endpoint = queue.URL, arn, arn
	}
	state, confirmed, err := client.EnsureSubscription(ctx, topic, protocol, endpoint, found.deadARN)
	if err != nil {
		return found, err
	}
	found.confirmed = confirmed
	if !confirmed {
		endpoint += " (not confirmed)"
	}
	return found, report(state, "subscription", endpoint)
}

func (c *setup) explain(process *components.Process, topic string, by way) error {
	resources := awsevents.Resources{Topic: topic, Queue: by.queueARN, DeadQueue: by.deadARN}
	if by.queueARN != "" {
		resources.DeadQueue = by.queueARN + awsevents.DeadLetterSuffix
	}
	policy, err := awsevents.RuntimePolicy(resources, c.Queue != "")
	if err != nil {
		return err
	}
	text := "\nexport MAILSTACK_CONFIGURATION_SET=" + c.ConfigurationSet + "\nexport MAILSTACK_EVENTS_TOPICS=" + topic + "\n"
	if by.queueURL != "" {
		text += "export MAILSTACK_EVENTS_QUEUE=" + by.queueURL + "\n"
	}
	if !by.confirmed {
		text += "\n# The subscription awaits its confirmation: start `mailstack serve` with these variables, and run this again.\n"
	}
	text += "\n# The least policy for serve, worker and doctor:\n" + policy + "\n"
	return process.Printf("%s", text)
}

type policy struct {
	Setup    bool   `help:"Print the policy for \"mailstack ses setup\"."`
	Endpoint bool   `help:"SNS posts events to an endpoint: the only queue is for its dead letters."`
	TopicARN string `name:"topic-arn" placeholder:"ARN" help:"Topic that the policy is limited to. Default: any."`
	QueueARN string `name:"queue-arn" placeholder:"ARN" help:"Queue that the policy is limited to, with its dead-letter queue; with --endpoint, the dead-letter queue itself. Default: any."`
}

// Run prints the policy, without calling AWS.
func (c *policy) Run(process *components.Process) error {
	policyOf, resources := awsevents.RuntimePolicy, awsevents.Resources{Topic: c.TopicARN, Queue: c.QueueARN}
	if c.Setup {
		policyOf = awsevents.SetupPolicy
	}
	switch {
	case c.Endpoint:
		resources.DeadQueue = c.QueueARN
	case c.QueueARN != "":
		resources.DeadQueue = c.QueueARN + awsevents.DeadLetterSuffix
	}
	policy, err := policyOf(resources, !c.Endpoint)
	if err != nil {
		return err
	}
	return process.Printf("%s\n", policy)
}
