package sessim

import (
	"net/http"
	"slices"
)

const (
	// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html
	statusHealthy  = "HEALTHY"
	statusShutdown = "SHUTDOWN"
)

// account is the account's quota and state.
type account struct {
	Max24Hour         float64 `json:"max24Hour"` // -1 means unlimited
	MaxPerSecond      float64 `json:"maxPerSecond"`
	SendingEnabled    bool    `json:"sendingEnabled"`
	EnforcementStatus string  `json:"enforcementStatus"`
	ProductionAccess  bool    `json:"productionAccess"`

	MaxIdentities        int `json:"maxIdentities,omitempty"`        // 0 means the usual limit
	MaxConfigurationSets int `json:"maxConfigurationSets,omitempty"` // 0 means the usual limit
}

// full reports whether there are as many of a kind as the account may have.
func full(count, limit, otherwise int) bool {
	if limit == 0 {
		limit = otherwise
	}
	return count >= limit
}

// The limits of an account in a region. https://docs.aws.amazon.com/ses/latest/dg/quotas.html
const (
	defaultMaxIdentities        = 10_000
	defaultMaxConfigurationSets = 10_000
)

// AccountChange changes the members that are not nil.
type AccountChange struct {
	Max24Hour         *float64 `json:"max24Hour"`    // -1 means unlimited
	MaxPerSecond      *float64 `json:"maxPerSecond"` // 0 throttles every send
	SendingEnabled    *bool    `json:"sendingEnabled"`
	EnforcementStatus *string  `json:"enforcementStatus"` // HEALTHY, PROBATION or SHUTDOWN
	ProductionAccess  *bool    `json:"productionAccess"`  // false: recipients must be verified too

	MaxIdentities        *int `json:"maxIdentities"`
	MaxConfigurationSets *int `json:"maxConfigurationSets"`
}

// SetAccount changes the account, as AWS would.
func (s *Simulator) SetAccount(c AccountChange) error {
	if c.EnforcementStatus != nil && !slices.Contains([]string{statusHealthy, "PROBATION", statusShutdown}, *c.EnforcementStatus) {
		return badRequest("EnforcementStatus is invalid.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.state.account
	set(&a.Max24Hour, c.Max24Hour)
	set(&a.MaxPerSecond, c.MaxPerSecond)
	set(&a.SendingEnabled, c.SendingEnabled)
	set(&a.EnforcementStatus, c.EnforcementStatus)
	set(&a.ProductionAccess, c.ProductionAccess)
	set(&a.MaxIdentities, c.MaxIdentities)
	set(&a.MaxConfigurationSets, c.MaxConfigurationSets)
	return s.commit(entry{At: s.now().UTC(), Account: &a})
}

func set[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html
func (s *Simulator) getAccount(*http.Request, []byte) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.state.account
	return map[string]any{
		"DedicatedIpAutoWarmupEnabled": false,
		"EnforcementStatus":            a.EnforcementStatus,
		"ProductionAccessEnabled":      a.ProductionAccess,
		"SendingEnabled":               a.SendingEnabled && a.EnforcementStatus != statusShutdown,
		"SendQuota": map[string]float64{
			"Max24HourSend":   a.Max24Hour,
			"MaxSendRate":     a.MaxPerSecond,
			"SentLast24Hours": float64(s.state.day.sent(s.now())),
		},
		"SuppressionAttributes": map[string]any{"SuppressedReasons": []string{reasonBounce, reasonComplaint}},
	}, nil
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_PutAccountSendingAttributes.html
func (s *Simulator) putAccountSending(_ *http.Request, body []byte) (any, error) {
	request, err := decode[struct{ SendingEnabled bool }](body)
	if err != nil {
		return nil, err
	}
	return empty{}, s.SetAccount(AccountChange{SendingEnabled: &request.SendingEnabled})
}
