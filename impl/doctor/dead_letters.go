package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/voostack/mailstack/impl/awsevents"
)

// tryDeadLetters looks where events go that cannot be delivered, and counts them. Nothing here stops mail, so it only warns.
func (d *doctor) tryDeadLetters(ctx context.Context) (stepResult, error) {
	if d.EventsQueue != "" {
		dead, err := d.aws.DeadLettersOf(ctx, d.aws.Queue(d.EventsQueue))
		return d.countDeadLetters(ctx, "", dead, err)
	}
	var details, warnings []string
	for _, one := range d.endpoints {
		found, err := d.tryDelivery(ctx, one)
		if err != nil {
			return stepResult{}, err
		}
		details = append(details, found.detail)
		if found.warning != "" {
			warnings = append(warnings, found.warning)
		}
	}
	return stepResult{detail: strings.Join(details, "; "), warning: strings.Join(warnings, "; ")}, nil
}

// tryDelivery judges the retries and the dead-letter queue of a web server's subscription.
func (d *doctor) tryDelivery(ctx context.Context, subscription awsevents.Subscription) (stepResult, error) {
	delivery, err := d.aws.Delivery(ctx, subscription)
	if err != nil {
		return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy --endpoint` prints")
	}
	dead, err := d.aws.QueueOfARN(ctx, delivery.DeadLetter)
	found, err := d.countDeadLetters(ctx, fmt.Sprintf("SNS tries for %s, then ", delivery.Retries), dead, err)
	if err == nil && delivery.Retries < awsevents.LongestRetry {
		short := fmt.Sprintf("SNS gives up after %s of %s: %s", delivery.Retries, awsevents.LongestRetry, setupAdvice)
		found.warning = strings.TrimPrefix(found.warning+"; "+short, "; ")
	}
	return found, err
}

func (d *doctor) countDeadLetters(ctx context.Context, before string, dead *awsevents.Queue, err error) (stepResult, error) {
	switch {
	case errors.Is(err, awsevents.ErrNoDeadLetters):
		return stepResult{detail: before + "the event is lost", warning: "events that cannot be delivered are lost: " + setupAdvice}, nil
	case errors.Is(err, awsevents.ErrNotFound):
		return stepResult{detail: before + "the event is lost", warning: "the dead-letter queue is gone: " + setupAdvice}, nil
	case err != nil:
		return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy` prints")
	}
	count, err := dead.Length(ctx)
	if err != nil {
		return stepResult{}, withHint(err, "grant the credentials the permissions that `mailstack ses policy` prints")
	}
	found := stepResult{detail: fmt.Sprintf("%s%s, which holds %d", before, dead.URL, count)}
	if count > 0 {
		found.warning = fmt.Sprintf("%d events lie in the dead-letter queue, for at most 14 days: `mailstack ses redrive` stores them", count)
	}
	return found, nil
}
