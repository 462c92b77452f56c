package sessim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const (
	reasonBounce    = "BOUNCE"
	reasonComplaint = "COMPLAINT"
)

// configurationSet is a named set of sending options.
type configurationSet struct {
	Name string `json:"name"`
	// SuppressedReasons overrides the account's. Nil means no override; an empty list switches suppression off.
	SuppressedReasons *[]string     `json:"suppressedReasons,omitempty"`
	Tags              []resourceTag `json:"tags,omitempty"`
	Destinations      []destination `json:"destinations,omitempty"`
}

func noConfigurationSet(name string) error {
	return notFound(fmt.Sprintf("Configuration set <%s> does not exist.", name))
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SuppressionOptions.html
func checkReasons(reasons *[]string) error {
	if reasons == nil {
		return nil
	}
	for _, reason := range *reasons {
		if reason != reasonBounce && reason != reasonComplaint {
			return badRequest("SuppressedReasons is invalid.")
		}
	}
	return nil
}

// The name has up to 64 letters, digits, hyphens and underscores.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateConfigurationSet.html
func (s *Simulator) createConfigurationSet(_ *http.Request, body []byte) (any, error) {
	request, err := decode[struct {
		ConfigurationSetName string
		SuppressionOptions   *struct{ SuppressedReasons *[]string }
		Tags                 []resourceTag
	}](body)
	if err != nil {
		return nil, err
	}
	set := configurationSet{Name: request.ConfigurationSetName, Tags: request.Tags}
	if len(set.Name) == 0 || len(set.Name) > 64 || strings.ContainsFunc(set.Name, notWord) {
		return nil, badRequest("Configuration set name is invalid.")
	}
	if request.SuppressionOptions != nil {
		set.SuppressedReasons = request.SuppressionOptions.SuppressedReasons
	}
	if err := checkReasons(set.SuppressedReasons); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.state.configurationSets[set.Name]; ok {
		return nil, alreadyExists(fmt.Sprintf("Configuration set <%s> already exists.", set.Name))
	}
	if full(len(s.state.configurationSets), s.state.account.MaxConfigurationSets, defaultMaxConfigurationSets) {
		return nil, limitExceeded("The account has as many configuration sets as it may have.")
	}
	return empty{}, s.commit(entry{At: s.now().UTC(), ConfigurationSet: &set})
}

func (s *Simulator) getConfigurationSet(r *http.Request, _ []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	set, ok := s.state.configurationSets[r.PathValue("name")]
	if !ok {
		return nil, noConfigurationSet(r.PathValue("name"))
	}
	answer := map[string]any{
		"ConfigurationSetName": set.Name,
		"SendingOptions":       map[string]bool{"SendingEnabled": true},
		"Tags":                 append([]resourceTag{}, set.Tags...),
	}
	if set.SuppressedReasons != nil {
		answer["SuppressionOptions"] = map[string]any{"SuppressedReasons": *set.SuppressedReasons}
	}
	return answer, nil
}

func (s *Simulator) listConfigurationSets(_ *http.Request, body []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names, next, err := pageOfBody(body, slices.Collect(maps.Keys(s.state.configurationSets)))
	if err != nil {
		return nil, err
	}
	return withNext(map[string]any{"ConfigurationSets": append([]string{}, names...)}, next), nil
}

func (s *Simulator) deleteConfigurationSet(r *http.Request, _ []byte) (any, error) {
	name := r.PathValue("name")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.state.configurationSets[name]; !ok {
		return nil, noConfigurationSet(name)
	}
	return empty{}, s.commit(entry{At: s.now().UTC(), ConfigurationSetDeleted: name})
}

func (s *Simulator) putSuppressionOptions(r *http.Request, body []byte) (any, error) {
	request, err := decode[struct{ SuppressedReasons *[]string }](body)
	if err != nil {
		return nil, err
	}
	if err := checkReasons(request.SuppressedReasons); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.state.configurationSets[r.PathValue("name")]
	if !ok {
		return nil, noConfigurationSet(r.PathValue("name"))
	}
	set.SuppressedReasons = request.SuppressedReasons
	return empty{}, s.commit(entry{At: s.now().UTC(), ConfigurationSet: &set})
}
