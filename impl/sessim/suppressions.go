package sessim

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suppressed is an address on the account's suppression list. The list is case-sensitive when it stores and finds
// an address; sending compares addresses without case.
// https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list-tenant-level-manage.html
type suppressed struct {
	Address   string    `json:"address"`
	Reason    string    `json:"reason"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// answer returns the protocol's form of d, with times in seconds since 1970.
func (d suppressed) answer() map[string]any {
	return map[string]any{
		"EmailAddress": d.Address, "Reason": d.Reason,
		"LastUpdateTime": float64(d.UpdatedAt.UnixMilli()) / 1000,
	}
}

func notSuppressed(address string) error {
	return notFound(fmt.Sprintf("Email address %s does not exist on your suppression list.", address))
}

func (s *Simulator) putSuppressed(_ *http.Request, body []byte) (any, error) {
	request, err := decode[struct{ EmailAddress, Reason string }](body)
	if err != nil {
		return nil, err
	}
	if request.Reason != reasonBounce && request.Reason != reasonComplaint {
		return nil, badRequest("Reason is invalid.")
	}
	if _, err := parseAddress("EmailAddress", request.EmailAddress); err != nil {
		return nil, err
	}
	d := suppressed{Address: request.EmailAddress, Reason: request.Reason, UpdatedAt: s.now().UTC()}
	s.mu.Lock()
	defer s.mu.Unlock()
	return empty{}, s.commit(entry{At: d.UpdatedAt, Suppressed: &d})
}

func (s *Simulator) getSuppressed(r *http.Request, _ []byte) (any, error) {
	address := r.PathValue("name")
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, ok := s.state.suppressed[address]
	if !ok {
		return nil, notSuppressed(address)
	}
	return map[string]any{"SuppressedDestination": d.answer()}, nil
}

func (s *Simulator) deleteSuppressed(r *http.Request, _ []byte) (any, error) {
	address := r.PathValue("name")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.state.suppressed[address]; !ok {
		return nil, notSuppressed(address)
	}
	return empty{}, s.commit(entry{At: s.now().UTC(), SuppressedDeleted: address})
}

// pageOfQuery reads which page is wanted from a query.
func pageOfQuery(query url.Values) (pageRequest, error) {
	wanted := pageRequest{NextToken: query.Get("NextToken")}
	if given := query.Get("PageSize"); given != "" {
		var err error
		if wanted.PageSize, err = strconv.Atoi(given); err != nil {
			return wanted, badRequest("PageSize is invalid.")
		}
	}
	return wanted, nil
}

func (s *Simulator) listSuppressed(r *http.Request, _ []byte) (any, error) {
	query := r.URL.Query()
	reasons := query["Reason"]
	if slices.ContainsFunc(reasons, func(one string) bool { return one != reasonBounce && one != reasonComplaint }) {
		return nil, badRequest("Reason is invalid.")
	}
	wanted, err := pageOfQuery(query)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	addresses := slices.Collect(maps.Keys(s.state.suppressed))
	if len(reasons) > 0 {
		addresses = slices.DeleteFunc(addresses, func(a string) bool {
			return !slices.Contains(reasons, s.state.suppressed[a].Reason)
		})
	}
	addresses, next, err := page(wanted, addresses)
	if errors.Is(err, errNextToken) {
		return nil, &apiError{http.StatusBadRequest, "InvalidNextTokenException", "The token is not valid."}
	}
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, 0, len(addresses))
	for _, address := range addresses {
		list = append(list, s.state.suppressed[address].answer())
	}
	return withNext(map[string]any{"SuppressedDestinationSummaries": list}, next), nil
}

// suppressedAmong returns the addresses that are on the account's list, unless the configuration set overrides that
// list. The caller holds mu.
func (s *Simulator) suppressedAmong(addresses []string, set string) []string {
	out := []string{}
	if len(s.state.suppressed) == 0 {
		return out
	}
	reasons := []string{reasonBounce, reasonComplaint}
	if own := s.state.configurationSets[set].SuppressedReasons; own != nil {
		reasons = *own
	}
	for _, address := range addresses {
		for _, d := range s.state.suppressed {
			if strings.EqualFold(d.Address, address) && slices.Contains(reasons, d.Reason) {
				out = append(out, address)
				break
			}
		}
	}
	return out
}
