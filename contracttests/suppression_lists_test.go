package contracttests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// allSuppressions reads the addresses of every page, calling between after each.
func (t *tenant) allSuppressions(query url.Values, between func()) []string {
	t.t.Helper()
	query = url.Values(http.Header(query).Clone())
	var found []string
	for {
		page := t.suppressions(query)
		found = append(found, addressesOf(page.Data)...)
		if page.NextCursor == nil {
			return found
		}
		query.Set("cursor", *page.NextCursor)
		between()
	}
}

func TestSuppressionListPagesNeitherSkipNorRepeat(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.newTenant().suppressByHand("stranger@example.com")
	for _, limit := range []string{"1", "2", "7", "100"} {
		for _, query := range []url.Values{{}, {"reason": {"Manual"}}, {"reason": {"Bounce"}}} {
			tenant := s.newTenant()
			var all, manual []string
			for i := range 4 {
				made := tenant.suppressByHand(fmt.Sprintf("a%d@example.com", i), fmt.Sprintf("b%d@example.com", i))
				manual = append(manual, addressesOf(made)...)
				bounced := fmt.Sprintf("c%d@example.com", i)
				tenant.suppress(bounced)
				all = append(append(all, addressesOf(made)...), bounced)
			}
			want := map[string][]string{"": all, "Manual": manual, "Bounce": {"c0@example.com", "c1@example.com", "c2@example.com", "c3@example.com"}}[query.Get("reason")]
			slices.Reverse(want)
			arrived := 0
			arriving := func() {
				arrived++
				tenant.suppressByHand(fmt.Sprintf("late%d@example.com", arrived))
				tenant.suppress(fmt.Sprintf("later%d@example.com", arrived))
			}
			query.Set("limit", limit)
			if got := tenant.allSuppressions(query, arriving); !slices.Equal(got, want) {
				t.Errorf("%v: read %q, want %q", query, got, want)
			}
		}
	}
}

func TestSuppressionListFilters(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, stranger := s.newTenant(), s.newTenant()
	tenant.suppressByHand("manual@example.com")
	tenant.suppress("bounced@example.com")
	tenant.suppressFor(api.SuppressionReasonComplaint, "cross@example.com", "", uuid.New())
	stranger.suppressByHand("theirs@example.com", "manual@example.com")
	for name, c := range map[string]struct {
		query url.Values
		want  []string
	}{
		"nothing":             {url.Values{}, []string{"cross@example.com", "bounced@example.com", "manual@example.com"}},
		"reason":              {url.Values{"reason": {"Complaint"}}, []string{"cross@example.com"}},
		"address":             {url.Values{"address": {"BOUNCED@example.com"}}, []string{"bounced@example.com"}},
		"both":                {url.Values{"address": {"bounced@example.com"}, "reason": {"Bounce"}}, []string{"bounced@example.com"}},
		"both, of which one":  {url.Values{"address": {"bounced@example.com"}, "reason": {"Manual"}}, nil},
		"another's address":   {url.Values{"address": {"theirs@example.com"}}, nil},
		"an address of both":  {url.Values{"address": {"manual@example.com"}}, []string{"manual@example.com"}},
		"nobody":              {url.Values{"address": {"nobody@example.com"}}, nil},
		"address and a limit": {url.Values{"address": {"cross@example.com"}, "limit": {"1"}}, []string{"cross@example.com"}},
	} {
		if got := tenant.allSuppressions(c.query, func() {}); !slices.Equal(got, c.want) {
			t.Errorf("%s: listed %q, want %q", name, got, c.want)
		}
	}
}

func TestSuppressionListRefusesQueries(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	owner.suppressByHand("a@example.com", "b@example.com", "c@example.com")
	for range 3 {
		owner.send(email(from))
	}
	cursor := *owner.suppressions(url.Values{"limit": {"1"}}).NextCursor
	altered := []byte(cursor)
	altered[len(altered)/2] ^= 1
	emails := *owner.emails(url.Values{"limit": {"1"}}).NextCursor
	for name, c := range map[string]struct {
		by    *tenant
		query string
	}{
		"unknown parameter":          {owner, "recipient=a@example.com"},
		"unknown reason":             {owner, "reason=Mood"},
		"reason in another case":     {owner, "reason=bounce"},
		"no reason":                  {owner, "reason="},
		"not an address":             {owner, "address=nobody"},
		"no address":                 {owner, "address="},
		"a name":                     {owner, "address=Sam%20%3Ca@example.com%3E"},
		"a plus that is a space":     {owner, "address=a+b@example.com"},
		"NUL":                        {owner, "address=a%00@example.com"},
		"not UTF-8":                  {owner, "address=%FF@example.com"},
		"address twice":              {owner, "address=a@example.com&address=b@example.com"},
		"reason twice":               {owner, "reason=Bounce&reason=Manual"},
		"a broken escape":            {owner, "address=%zz"},
		"a semicolon":                {owner, "reason=Manual;address=a@example.com"},
		"no entries":                 {owner, "limit=0"},
		"too many entries":           {owner, "limit=101"},
		"altered cursor":             {owner, "cursor=" + string(altered)},
		"another list's cursor":      {owner, "cursor=" + emails},
		"cursor with other filters":  {owner, "reason=Manual&cursor=" + cursor},
		"another organization's one": {s.newTenant(), "cursor=" + cursor},
	} {
		t.Run(name, func(t *testing.T) {
			c.by.in(t).call(http.MethodGet, suppressionsPath+"?"+c.query, nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		})
	}
	owner.call(http.MethodGet, "/v1/emails?cursor="+cursor, nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
}

// TestSuppressionsAreReadByIndex: a page is read from one end of an index, whatever the filter.
func TestSuppressionsAreReadByIndex(t *testing.T) {
	t.Parallel()
	tenant := newStack(t).newTenant()
	tenant.execute(`INSERT INTO suppressions (id, organization_id, address_key, reason, created_at)
		SELECT gen_random_uuid(), $1, 'user' || n || '@example.com', (ARRAY['Bounce', 'Complaint', 'Manual'])[1 + n % 3], now()
		FROM generate_series(1, 20000) AS n`, tenant.id)
	tenant.execute("ANALYZE suppressions")
	for query, index := range map[string]string{
		"id < $2 ORDER BY id DESC LIMIT 51":                       "suppressions_list_idx",
		"reason = 'Bounce' AND id < $2 ORDER BY id DESC LIMIT 51": "suppressions_reason_idx",
		"address_key = 'user7@example.com' AND id < $2":           "suppressions_pkey",
	} {
		rows, err := tenant.store.Pool().Query(t.Context(), "EXPLAIN SELECT * FROM suppressions WHERE organization_id = $1 AND "+query, tenant.id, uuid.Max)
		must(t, err)
		var plan strings.Builder
		for rows.Next() {
			var line string
			must(t, rows.Scan(&line))
			plan.WriteString(line + "\n")
		}
		must(t, rows.Err())
		if !strings.Contains(plan.String(), index) || strings.Contains(plan.String(), "Sort") || strings.Contains(plan.String(), "Seq Scan") {
			t.Errorf("%s:\n%s", query, plan.String())
		}
	}
}
