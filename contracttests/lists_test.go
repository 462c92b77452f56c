package contracttests

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// emails reads a page of messages.
func (t *tenant) emails(query url.Values) api.EmailList {
	t.t.Helper()
	return decoded[api.EmailList](t.call(http.MethodGet, "/v1/emails?"+query.Encode(), nil).is(http.StatusOK))
}

// allEmails reads every page, calling between after each.
func (t *tenant) allEmails(query url.Values, between func()) []uuid.UUID {
	t.t.Helper()
	var found []uuid.UUID
	for {
		page := t.emails(query)
		for _, one := range page.Data {
			found = append(found, one.ID)
		}
		if page.NextCursor == nil {
			return found
		}
		query.Set("cursor", *page.NextCursor)
		between()
	}
}

func TestEmailListIsNewestFirst(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	if empty := tenant.emails(nil); len(empty.Data) != 0 || empty.NextCursor != nil {
		t.Fatalf("an empty list is %+v", empty)
	}
	first := tenant.send(email(from, "tags", "a,b", "cc", "copy@example.com"))
	batch := decoded[api.BatchResult](tenant.call(http.MethodPost, "/v1/emails/batch", map[string]any{
		"emails": []any{email(from), email(from), email(from)},
	}).is(http.StatusAccepted))
	want := []uuid.UUID{*batch.Results[2].ID, *batch.Results[1].ID, *batch.Results[0].ID, first}
	list := tenant.emails(nil)
	var got []uuid.UUID
	for _, one := range list.Data {
		got = append(got, one.ID)
	}
	if !slices.Equal(got, want) || list.NextCursor != nil {
		t.Fatalf("listed %v, want %v", got, want)
	}
	shown, read := list.Data[3], tenant.read(first)
	if shown.FromEmail != read.FromEmail || *shown.Cc != *read.Cc || *shown.Tags != "a,b" || shown.CreatedAt != read.CreatedAt ||
		shown.Status != api.EmailStatusQueued || shown.Subject != read.Subject {
		t.Errorf("listed %+v, read %+v", shown, read)
	}
}

func TestEmailListPagesNeitherSkipNorRepeat(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	stranger, theirs := s.newSender()
	stranger.send(email(theirs))
	for _, limit := range []string{"1", "2", "7", "100"} {
		var before []uuid.UUID
		for range 3 {
			// The messages of a batch share their time.
			result := decoded[api.BatchResult](tenant.call(http.MethodPost, "/v1/emails/batch", map[string]any{
				"emails": []any{email(from, "tags", limit), email(from, "tags", limit), email(from, "tags", limit)},
			}).is(http.StatusAccepted))
			for _, one := range result.Results {
				before = append(before, *one.ID)
			}
		}
		slices.Reverse(before)
		arriving := func() { tenant.send(email(from, "tags", limit)) }
		if got := tenant.allEmails(url.Values{"limit": {limit}, "tag": {limit}}, arriving); !slices.Equal(got, before) {
			t.Errorf("limit %s: read %v, want %v", limit, got, before)
		}
	}
}

func TestEmailListFilters(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	tenant, from := s.newSender()
	sent := tenant.send(email(from, "to", "Ann <Ann@Example.com>, ann@example.com", "tags", "one"))
	eventually(t, "it is sent", func() bool { return tenant.read(sent).Status == api.EmailStatusSent })
	s.clock.advance(time.Minute)
	middle := s.clock.now().Truncate(time.Millisecond)
	s.clock.advance(time.Minute)
	other := tenant.send(email("Other@"+from[len("hello@"):], "to", "bob@example.com", "bcc", "ann@example.com", "tags", "two,one"))
	eventually(t, "the other is sent", func() bool { return tenant.read(other).Status == api.EmailStatusSent })
	suspended := tenant.send(email(from, "to", "carol@example.com"))
	eventually(t, "the third is sent", func() bool { return tenant.read(suspended).Status == api.EmailStatusSent })
	created := tenant.read(sent).CreatedAt

	for name, test := range map[string]struct {
		query url.Values
		want  []uuid.UUID
	}{
		"status":                 {url.Values{"status": {"Sent"}}, []uuid.UUID{suspended, other, sent}},
		"status of none":         {url.Values{"status": {"Failed"}}, nil},
		"planned status":         {url.Values{"status": {"Scheduled"}}, nil},
		"to, in any field":       {url.Values{"to": {"ANN@example.com"}}, []uuid.UUID{other, sent}},
		"from":                   {url.Values{"from": {"other@" + from[len("hello@"):]}}, []uuid.UUID{other}},
		"tag":                    {url.Values{"tag": {"one"}}, []uuid.UUID{other, sent}},
		"after":                  {url.Values{"createdAfter": {middle.Format(time.RFC3339Nano)}}, []uuid.UUID{suspended, other}},
		"before":                 {url.Values{"createdBefore": {middle.Format(time.RFC3339Nano)}}, []uuid.UUID{sent}},
		"after the very moment":  {url.Values{"createdAfter": {created.Format(time.RFC3339Nano)}, "tag": {"one"}}, []uuid.UUID{other, sent}},
		"before the very moment": {url.Values{"createdBefore": {created.Format(time.RFC3339Nano)}}, nil},
		"tag and date":           {url.Values{"tag": {"one"}, "createdAfter": {middle.Format(time.RFC3339Nano)}}, []uuid.UUID{other}},
		"to and date":            {url.Values{"to": {"ann@example.com"}, "createdBefore": {middle.Format(time.RFC3339Nano)}}, []uuid.UUID{sent}},
		"a span of nothing":      {url.Values{"createdAfter": {"9000-01-01T00:00:00Z"}, "createdBefore": {"1000-01-01T00:00:00Z"}}, nil},
		"a span of everything":   {url.Values{"createdAfter": {"0001-01-01T00:00:00Z"}, "createdBefore": {"9999-12-31T23:59:59Z"}}, []uuid.UUID{suspended, other, sent}},
	} {
		if got := tenant.allEmails(test.query, func() {}); !slices.Equal(got, test.want) {
			t.Errorf("%s: listed %v, want %v", name, got, test.want)
		}
	}
}

// TestListOfBounced: a bounce that may be an automatic reply is listed with the others, and not as sent.
func TestListOfBounced(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	var want []uuid.UUID
	for _, outcome := range []int{5, 7, 2, 7, 5, 3, 7} {
		s.clock.advance(time.Millisecond)
		id := tenant.send(email(from))
		if _, err := s.store.Pool().Exec(t.Context(), "UPDATE emails SET outcome = $2 WHERE id = $1", id, outcome); err != nil {
			t.Fatal(err)
		}
		if outcome == 5 || outcome == 7 {
			want = append([]uuid.UUID{id}, want...)
			if status := tenant.read(id).Status; status != api.EmailStatusBounced {
				t.Errorf("outcome %d is shown as %s", outcome, status)
			}
		}
	}
	for _, limit := range []string{"1", "2", "100"} {
		if got := tenant.allEmails(url.Values{"status": {"Bounced"}, "limit": {limit}}, func() {}); !slices.Equal(got, want) {
			t.Errorf("limit %s: listed %v, want %v", limit, got, want)
		}
	}
	if got := tenant.allEmails(url.Values{"status": {"Sent"}}, func() {}); len(got) != 1 {
		t.Errorf("listed as sent: %v", got)
	}
}

func TestEmailListRefusesQueries(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	for range 3 {
		owner.send(email(from, "tags", "a"))
	}
	cursor := *owner.emails(url.Values{"limit": {"1"}}).NextCursor
	altered := []byte(cursor)
	altered[len(altered)/2] ^= 1
	stranger, _ := s.newSender()
	for name, test := range map[string]struct {
		by    *tenant
		query string
	}{
		"two filters":                {owner, "status=Sent&tag=a"},
		"unknown parameter":          {owner, "statsu=Sent"},
		"an empty limit":             {owner, "limit="},
		"unknown status":             {owner, "status=Gone"},
		"not an address":             {owner, "to=nobody"},
		"not a tag":                  {owner, "tag=a%20b"},
		"not a time":                 {owner, "createdAfter=yesterday"},
		"no entries":                 {owner, "limit=0"},
		"too many entries":           {owner, "limit=101"},
		"not a number":               {owner, "limit=many"},
		"altered cursor":             {owner, "cursor=" + string(altered)},
		"cursor of nobody":           {owner, "cursor=AAAA"},
		"cursor with other filters":  {owner, "tag=a&cursor=" + cursor},
		"another organization's one": {stranger, "cursor=" + cursor},
	} {
		t.Run(name, func(t *testing.T) {
			test.by.in(t).call(http.MethodGet, "/v1/emails?"+test.query, nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		})
	}
	if page := owner.emails(url.Values{"cursor": {cursor}, "limit": {"2"}}); len(page.Data) != 2 || page.NextCursor != nil {
		t.Errorf("the page after the first is %+v", page)
	}
}
