package sessim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// destination is an event destination of a configuration set, with the API's field names. Only SNS topics are
// simulated.
type destination struct {
	Name               string
	Enabled            bool
	MatchingEventTypes []string
	SnsDestination     *struct{ TopicArn string }
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_EventDestinationDefinition.html
func eventTypes() []string {
	return []string{
		"SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "OPEN", "CLICK", "RENDERING_FAILURE", "DELIVERY_DELAY", "SUBSCRIPTION",
	}
}

func (d destination) topic() string { return d.SnsDestination.TopicArn }

// wants reports whether events of a kind, named as in events, go to the destination.
func (d destination) wants(kind string) bool {
	return d.Enabled && slices.Contains(d.MatchingEventTypes, strings.ToUpper(strings.ReplaceAll(kind, " ", "_")))
}

// checkDestination refuses what SES refuses. Like SES, it checks at once whether it may publish to the topic.
//   - https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateConfigurationSetEventDestination.html
//   - https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html
func (s *Simulator) checkDestination(set string, d destination) error {
	if d.Name == "" || len(d.Name) > 64 || strings.ContainsFunc(d.Name, notWord) {
		return badRequest("Event destination name is invalid.")
	}
	if d.SnsDestination == nil {
		return badRequest("Only SNS destinations are supported by this simulator.")
	}
	if len(d.MatchingEventTypes) == 0 || slices.ContainsFunc(d.MatchingEventTypes, func(t string) bool { return !slices.Contains(eventTypes(), t) }) {
		return badRequest("MatchingEventTypes is invalid.")
	}
	if err := s.topics.CanPublish(d.topic(), s.configurationSetARN(set)); err != nil {
		return badRequest(fmt.Sprintf("Could not publish to SNS topic <%s>.", d.topic()))
	}
	return nil
}

func (s *Simulator) destinations(set string) []destination {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.configurationSets[set].Destinations
}

func (s *Simulator) listDestinations(r *http.Request, _ []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	set, ok := s.state.configurationSets[r.PathValue("name")]
	if !ok {
		return nil, noConfigurationSet(r.PathValue("name"))
	}
	return map[string]any{"EventDestinations": append([]destination{}, set.Destinations...)}, nil
}

func (s *Simulator) createDestination(r *http.Request, body []byte) (any, error) {
	request, err := decode[struct {
		EventDestinationName string
		EventDestination     destination
	}](body)
	if err != nil {
		return nil, err
	}
	request.EventDestination.Name = request.EventDestinationName
	return empty{}, s.putDestination(r.PathValue("name"), request.EventDestination, true)
}

func (s *Simulator) updateDestination(r *http.Request, body []byte) (any, error) {
	request, err := decode[struct{ EventDestination destination }](body)
	if err != nil {
		return nil, err
	}
	request.EventDestination.Name = r.PathValue("destination")
	return empty{}, s.putDestination(r.PathValue("name"), request.EventDestination, false)
}

func (s *Simulator) putDestination(name string, d destination, isNew bool) error {
	if err := s.checkDestination(name, d); err != nil {
		return err
	}
	return s.changeDestinations(name, d.Name, isNew, func(known []destination, i int) []destination {
		if i < 0 {
			return append(known, d)
		}
		known[i] = d
		return known
	})
}

func (s *Simulator) deleteDestination(r *http.Request, _ []byte) (any, error) {
	return empty{}, s.changeDestinations(r.PathValue("name"), r.PathValue("destination"), false, func(known []destination, i int) []destination {
		return slices.Delete(known, i, i+1)
	})
}

// maxDestinations bounds the event destinations of a configuration set.
// https://docs.aws.amazon.com/ses/latest/dg/quotas.html
const maxDestinations = 10

// changeDestinations changes a copy of a set's destinations. The named one must exist, unless isNew: then it must
// not.
func (s *Simulator) changeDestinations(name, which string, isNew bool, change func([]destination, int) []destination) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.state.configurationSets[name]
	if !ok {
		return noConfigurationSet(name)
	}
	known := slices.Clone(set.Destinations)
	i := slices.IndexFunc(known, func(d destination) bool { return d.Name == which })
	if isNew && i >= 0 {
		return alreadyExists(fmt.Sprintf("Event destination <%s> already exists.", which))
	}
	if isNew && len(known) >= maxDestinations {
		return limitExceeded(fmt.Sprintf("A configuration set has at most %d event destinations.", maxDestinations))
	}
	if !isNew && i < 0 {
		return notFound(fmt.Sprintf("Event destination <%s> does not exist.", which))
	}
	set.Destinations = change(known, i)
	return s.commit(entry{At: s.now().UTC(), ConfigurationSet: &set})
}
