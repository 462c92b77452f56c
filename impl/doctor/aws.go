package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/ses"
)

const setupAdvice = "run `mailstack ses setup`, which repairs it"

func (d *doctor) tryCredentials(ctx context.Context) (stepResult, error) {
	var err error
	if d.ses, d.aws, err = components.AWSClients(ctx, d.SESFlags); err != nil {
		return stepResult{}, withHint(err, "set AWS_REGION, or name a profile that has a region")
	}
	caller, err := d.aws.Caller(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile or the role of the machine")
	}
	return stepResult{detail: caller.ARN + " in " + caller.Region}, nil
}

func (d *doctor) tryAccount(ctx context.Context) (stepResult, error) {
	quota, err := d.ses.GetQuota(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy` prints")
	}
	if !quota.SendingEnabled || quota.EnforcementStatus == "SHUTDOWN" {
		return stepResult{}, withHint(fmt.Errorf("SES does not let the account send (%s)", quota.EnforcementStatus),
			"check the account dashboard in the SES console, region %s", d.ses.Region())
	}
	daily := "without a daily limit"
	if quota.Max24Hour >= 0 {
		daily = fmt.Sprintf("%.0f of %.0f in 24 hours", quota.SentLast24Hours, quota.Max24Hour)
	}
	found := stepResult{detail: fmt.Sprintf("may send: %s, %g per second", daily, quota.MaxPerSecond)}
	if quota.Max24Hour >= 0 && quota.SentLast24Hours >= quota.Max24Hour {
		return stepResult{}, withHint(fmt.Errorf("the daily quota is used up: %s", daily), "wait, or ask AWS for a higher quota")
	}
	if !quota.ProductionAccess {
		found.warning = "the account is in the sandbox: it sends to verified recipients only; ask AWS for production access"
	}
	return found, nil
}

func (d *doctor) tryConfigurationSet(ctx context.Context) (stepResult, error) {
	set, err := d.ses.GetConfigurationSet(ctx)
	if errors.Is(err, ses.ErrNotFound) {
		return stepResult{}, withHint(fmt.Errorf("there is no configuration set %s", d.ConfigurationSet), setupAdvice)
	}
	if err != nil {
		return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy` prints")
	}
	if !set.SendingEnabled {
		return stepResult{}, withHint(errors.New("sending is switched off in the configuration set"), "switch it on in the SES console")
	}
	d.destinations = set.Destinations
	return stepResult{detail: d.ConfigurationSet}, nil
}

// tryTenants reads the tenants at SES, where they are on.
func (d *doctor) tryTenants(ctx context.Context) (stepResult, error) {
	on, err := d.database.Queries().TenancyIsOn(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "check that the user of DATABASE_URL can read the tables")
	}
	if !on {
		return stepResult{detail: "off"}, nil
	}
	tenants, err := d.ses.ListTenants(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy` prints")
	}
	ours, disabled := 0, 0
	for _, tenant := range tenants {
		if _, known := tenant.Organization(); known {
			ours++
			if tenant.Disabled {
				disabled++
			}
		}
	}
	found := stepResult{detail: fmt.Sprintf("on: %d organizations have one", ours)}
	if disabled > 0 {
		found.warning = fmt.Sprintf("SES has disabled %d of them, whose mail waits: see their findings in the SES console", disabled)
	}
	return found, nil
}

// tryDestination collects the topics to which SES publishes events.
func (d *doctor) tryDestination(context.Context) (stepResult, error) {
	var elsewhere []string
	var missing [][]string
	tracking := false
	for _, one := range d.destinations {
		switch {
		case one.Topic == "" || !one.Enabled:
		case len(d.EventsTopics) > 0 && !slices.Contains(d.EventsTopics, one.Topic):
			elsewhere = append(elsewhere, one.Topic)
		default:
			d.topics = append(d.topics, one.Topic)
			missing = append(missing, one.Missing)
			tracking = tracking || one.Tracking
		}
	}
	switch {
	case len(d.topics) == 0 && len(elsewhere) > 0:
		return stepResult{}, withHint(fmt.Errorf("events go to %s, which MAILSTACK_EVENTS_TOPICS does not name", strings.Join(elsewhere, ", ")),
			"add the topic to MAILSTACK_EVENTS_TOPICS, or run `mailstack ses setup`")
	case len(d.topics) == 0:
		return stepResult{}, withHint(errors.New("the configuration set has no enabled event destination on an SNS topic"), setupAdvice)
	}
	return judgeTypes(d.topics, missingEverywhere(missing), tracking)
}

// missingEverywhere returns the event types that each of the destinations lacks.
func missingEverywhere(missing [][]string) []string {
	return slices.DeleteFunc(slices.Clone(missing[0]), func(kind string) bool {
		return slices.ContainsFunc(missing[1:], func(other []string) bool { return !slices.Contains(other, kind) })
	})
}

// judgeTypes fails if a missing event type makes statuses wrong, and warns about any other missing type.
func judgeTypes(topics, missing []string, tracking bool) (stepResult, error) {
	found := stepResult{detail: "events go to " + strings.Join(topics, ", ")}
	if tracking {
		found.warning = "opens and clicks are tracked: SES rewrites the links in all mail, password resets included; " +
			"`mailstack ses setup` without --tracking switches it off"
	}
	if len(missing) == 0 {
		return found, nil
	}
	text := "no events of type " + strings.Join(missing, ", ")
	for _, needed := range []string{"DELIVERY", "BOUNCE", "COMPLAINT", "REJECT"} {
		if slices.Contains(missing, needed) {
			return stepResult{}, withHint(errors.New("it publishes "+text), setupAdvice)
		}
	}
	found.warning = text + " are published"
	return found, nil
}

func (d *doctor) tryTopic(ctx context.Context) (stepResult, error) {
	for _, topic := range d.topics {
		_, err := d.aws.Subscriptions(ctx, topic)
		if errors.Is(err, awsevents.ErrNotFound) {
			return stepResult{}, withHint(fmt.Errorf("there is no topic %s", topic), setupAdvice)
		}
		if err != nil {
			return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy` prints")
		}
	}
	return stepResult{detail: strings.Join(d.topics, ", ")}, nil
}

func (d *doctor) tryQueue(ctx context.Context) (stepResult, error) {
	var err error
	d.queueARN, err = d.aws.Queue(d.EventsQueue).ARN(ctx)
	if errors.Is(err, awsevents.ErrNotFound) {
		return stepResult{}, withHint(fmt.Errorf("there is no queue %s in %s", d.EventsQueue, d.ses.Region()),
			"check MAILSTACK_EVENTS_QUEUE and AWS_REGION, or run `mailstack ses setup --queue NAME`")
	}
	if err != nil {
		return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy` prints")
	}
	return stepResult{detail: d.EventsQueue}, nil
}

// trySubscription requires a confirmed subscription of the queue or, without a queue, of any HTTP endpoint: which
// endpoint is ours is not known here.
func (d *doctor) trySubscription(ctx context.Context) (stepResult, error) {
	var waiting, confirmed []string
	for _, topic := range d.topics {
		subscriptions, err := d.aws.Subscriptions(ctx, topic)
		if err != nil {
			return stepResult{}, withHint(err, setupAdvice)
		}
		for _, one := range subscriptions {
			ours := strings.HasPrefix(one.Protocol, "http")
			if d.queueARN != "" {
				ours = one.Protocol == "sqs" && one.Endpoint == d.queueARN
			}
			switch {
			case !ours:
			case !one.Confirmed:
				waiting = append(waiting, one.Endpoint)
			default:
				confirmed = append(confirmed, one.Endpoint)
				if one.HTTP() {
					d.endpoints = append(d.endpoints, one)
				}
			}
		}
	}
	if len(confirmed) > 0 {
		return stepResult{detail: strings.Join(confirmed, ", ")}, nil
	}
	if len(waiting) > 0 {
		return stepResult{}, withHint(fmt.Errorf("not confirmed: %s", strings.Join(waiting, ", ")),
			"start `mailstack serve` with MAILSTACK_EVENTS_TOPICS where SNS can reach it, and run `mailstack ses setup` again")
	}
	return stepResult{}, withHint(errors.New("the topic has no subscription of this installation"), setupAdvice)
}
