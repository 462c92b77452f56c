package contracttests

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/voostack/mailstack/gen/api"
)

// TestConcurrentCreation makes one request many times at once, on two servers: one does the work, and none reports
// a conflict with it.
func TestConcurrentCreation(t *testing.T) {
	t.Parallel()
	w, owner := furnished(t)
	servers := []*stack{w.server, newStack(t, options{store: w.server.store})}
	for _, op := range operations(t, idempotent) {
		r := w.succeeding(op)
		r.headers = under(w.name())
		encoded := encode(t, r.body)
		before := owner.created()
		var bodies sync.Map
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				bodies.Store(string(owner.insist(servers[i%2], op.method, op.at(r.id), encoded, r.headers[1])), true)
			})
		}
		group.Wait()
		different := 0
		bodies.Range(func(any, any) bool { different++; return true })
		if made := owner.created() - before; made != 1 || different != 1 {
			t.Errorf("%s: %d were made, with %d answers", op.id, made, different)
		}
	}
}

func encode(t testing.TB, body any) []byte {
	t.Helper()
	if body == nil {
		return nil
	}
	encoded, err := io.ReadAll(reader(t, body))
	must(t, err)
	return encoded
}

// insist repeats a request under its key while the first one is in progress, and returns the body of the success.
func (t *tenant) insist(on *stack, method, path string, body []byte, key string) []byte {
	for t.t.Context().Err() == nil {
		var sent any
		if body != nil {
			sent = body
		}
		came := on.exchange(method, path, t.key, sent, under(key)...)
		switch {
		case came.status < http.StatusMultipleChoices:
			return came.body
		case came.status != http.StatusConflict || decoded[api.Problem](came).Code != api.ProblemCodeIdempotencyInProgress:
			t.t.Errorf("%s %s under %s: %d %s", method, path, key, came.status, came.body)
			return nil
		}
	}
	return nil
}

// TestOneMessagePerIdempotencyKey has 200 clients make each request three times at once under one key, on two
// servers.
func TestOneMessagePerIdempotencyKey(t *testing.T) {
	t.Parallel()
	const clients, repetitions, batched = 200, 3, 5
	s := newStack(t)
	owner, from := s.newSender()
	owner.setBilling(true, nil, 0, 40)
	servers := []*stack{s, newStack(t, options{store: s.store})}
	before := owner.rows()
	var answers, wrong atomic.Int64
	var group sync.WaitGroup
	for client := range clients {
		key := cmp.Or(fmt.Sprintf("client-%d", client))
		path, body := singlePath, encode(t, email(from, "to", key+"@example.com"))
		if client%10 == 0 {
			var items []any
			for i := range batched {
				items = append(items, email(from, "to", fmt.Sprintf("%s-%d@example.com", key, i)))
			}
			path, body = batchPath, encode(t, batchOf(items...))
		}
		came := make([][]byte, repetitions)
		group.Go(func() {
			var repeated sync.WaitGroup
			for i := range repetitions {
				repeated.Go(func() { came[i] = owner.insist(servers[(client+i)%2], http.MethodPost, path, body, key) })
			}
			repeated.Wait()
			answers.Add(int64(len(came)))
			if slices.ContainsFunc(came, func(one []byte) bool { return len(one) == 0 || !bytes.Equal(one, came[0]) }) {
				wrong.Add(1)
			}
		})
	}
	group.Wait()
	const batches = clients / 10
	const want = clients - batches + batches*batched
	after := owner.rows()
	var twice int
	must(t, s.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM (
		SELECT FROM recipients WHERE organization_id = $1 GROUP BY address_key HAVING count(*) > 1) AS repeated`, owner.id).Scan(&twice))
	t.Logf("clients=%d requests=%d batches=%d messages=%d want=%d counted=%d duplicated=%d keys=%d differing=%d",
		clients, answers.Load(), batches, after.emails-before.emails, want, after.used-before.used, twice, owner.keptAnswers(), wrong.Load())
	if after.emails-before.emails != want || after.used-before.used != want || twice != 0 || wrong.Load() != 0 || owner.keptAnswers() != clients {
		t.Errorf("rows went from %+v to %+v", before, after)
	}
}
