package ses

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
)

// Change reports what an Ensure or SetUp call did.
type Change string

const (
	Unchanged Change = "found"
	Created   Change = "made"
	Updated   Change = "changed"
)

// destinationName is the name of the event destination that EnsureDestination creates when none leads to the topic.
const destinationName = "mailstack"

// ConfigurationSet is the state of the configured set in the account.
type ConfigurationSet struct {
	SendingEnabled bool
	Destinations   []Destination
}

// Destination is one event destination of a configuration set.
type Destination struct {
	Name    string
	Enabled bool
	Topic   string // ARN; empty where it is no topic of SNS
	// Missing are the types of events about sending and delivery that do not go there.
	Missing []string
	// Tracking reports that opens or clicks go there. Publishing them is what switches tracking on: SES then rewrites the
	// links of every message that is sent with the configuration set, and adds an image to it.
	// https://docs.aws.amazon.com/ses/latest/dg/faqs-metrics.html
	Tracking bool
}

// deliveryEvents are the types of events on which statuses rest.
func deliveryEvents() []types.EventType {
	return []types.EventType{
		types.EventTypeSend, types.EventTypeDelivery, types.EventTypeBounce, types.EventTypeComplaint, types.EventTypeReject,
		types.EventTypeDeliveryDelay, types.EventTypeRenderingFailure,
	}
}

// trackingEvents are the types of events that make SES track.
func trackingEvents() []types.EventType {
	return []types.EventType{types.EventTypeOpen, types.EventTypeClick}
}

// GetConfigurationSet reads the configured set and its event destinations. ErrNotFound means that there is no such
// set.
func (c *Client) GetConfigurationSet(ctx context.Context) (ConfigurationSet, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	name := aws.String(c.configurationSet)
	out, err := c.admin.GetConfigurationSet(ctx, &sesv2.GetConfigurationSetInput{ConfigurationSetName: name})
	if err != nil {
		return ConfigurationSet{}, newError(ctx, "GetConfigurationSet", a, err)
	}
	set := ConfigurationSet{SendingEnabled: out.SendingOptions == nil || out.SendingOptions.SendingEnabled}
	ctx, a = trackWire(ctx)
	events, err := c.admin.GetConfigurationSetEventDestinations(ctx, &sesv2.GetConfigurationSetEventDestinationsInput{
		ConfigurationSetName: name,
	})
	if err != nil {
		return ConfigurationSet{}, newError(ctx, "GetConfigurationSetEventDestinations", a, err)
	}
	for _, one := range events.EventDestinations {
		set.Destinations = append(set.Destinations, destinationOf(one))
	}
	return set, nil
}

func destinationOf(one types.EventDestination) Destination {
	found := Destination{Name: aws.ToString(one.Name), Enabled: one.Enabled}
	if one.SnsDestination != nil {
		found.Topic = aws.ToString(one.SnsDestination.TopicArn)
	}
	for _, kind := range trackingEvents() {
		found.Tracking = found.Tracking || slices.Contains(one.MatchingEventTypes, kind)
	}
	for _, kind := range deliveryEvents() {
		if !slices.Contains(one.MatchingEventTypes, kind) {
			found.Missing = append(found.Missing, string(kind))
		}
	}
	return found
}

// EnsureDestination makes sure that the events of the configured set go to a topic, opens and clicks only with tracking.
// The topic must let SES publish: SES tries at once.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html
func (c *Client) EnsureDestination(ctx context.Context, topic string, tracking bool) (Change, error) {
	set, err := c.GetConfigurationSet(ctx)
	if err != nil {
		return "", err
	}
	name := destinationName
	i := slices.IndexFunc(set.Destinations, func(d Destination) bool { return d.Topic == topic })
	if i < 0 {
		i = slices.IndexFunc(set.Destinations, func(d Destination) bool { return d.Name == destinationName })
	}
	if i >= 0 {
		found := set.Destinations[i]
		if found.Topic == topic && found.Enabled && len(found.Missing) == 0 && found.Tracking == tracking {
			return Unchanged, nil
		}
		name = found.Name
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	published := deliveryEvents()
	if tracking {
		published = append(published, trackingEvents()...)
	}
	wanted := &types.EventDestinationDefinition{
		Enabled: true, MatchingEventTypes: published, SnsDestination: &types.SnsDestination{TopicArn: aws.String(topic)},
	}
	if i >= 0 {
		_, err := c.admin.UpdateConfigurationSetEventDestination(ctx, &sesv2.UpdateConfigurationSetEventDestinationInput{
			ConfigurationSetName: aws.String(c.configurationSet), EventDestinationName: aws.String(name), EventDestination: wanted,
		})
		if err != nil {
			return "", newError(ctx, "UpdateConfigurationSetEventDestination", a, err)
		}
		return Updated, nil
	}
	_, err = c.admin.CreateConfigurationSetEventDestination(ctx, &sesv2.CreateConfigurationSetEventDestinationInput{
		ConfigurationSetName: aws.String(c.configurationSet), EventDestinationName: aws.String(name), EventDestination: wanted,
	})
	var exists *types.AlreadyExistsException
	if errors.As(err, &exists) {
		return Unchanged, nil // another process created it first
	}
	if err != nil {
		return "", newError(ctx, "CreateConfigurationSetEventDestination", a, err)
	}
	c.log.Info("event destination created", slog.String("configuration_set", c.configurationSet), slog.String("topic", topic))
	return Created, nil
}
