package intake_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/intake"
)

// claimOf returns the claim of a request whose response is the id of its first message.
func claimOf(organizationID uuid.UUID, key, body string) *intake.Idempotency {
	return &intake.Idempotency{
		Claim: idempotency.NewClaim(organizationID, key, "sendEmail", []byte(body)),
		Respond: func(results []intake.Result) (answer *idempotency.Response, err error) {
			if results[0].Refusal == nil {
				answer = &idempotency.Response{Status: http.StatusAccepted, Body: []byte(results[0].ID.String())}
			}
			return answer, nil
		},
	}
}

// submitOnce is submit under an idempotency key. A nil claim means none.
func submitOnce(ctx context.Context, accepting *intake.Intake, claim *intake.Idempotency, messages ...intake.Message) <-chan outcome {
	came := make(chan outcome, 1)
	before := accepting.Waiting()
	go func() {
		results, err := accepting.AcceptOnce(ctx, messages, claim)
		came <- outcome{results, err}
	}()
	for accepting.Waiting() == before && len(came) == 0 {
		if ctx.Err() != nil {
			break
		}
	}
	return came
}

// replayed returns the response of an earlier request that a request got, or "" without one.
func (o outcome) replayed() string {
	var replay *idempotency.Replay
	if errors.As(o.err, &replay) {
		return string(replay.Response.Body)
	}
	return ""
}

// TestOneKeyInAGroup: of several requests with one key in a transaction the first does the work, and the others
// get its response. Requests with another key, or none, are not affected.
func TestOneKeyInAGroup(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one, other := newSender(t, g.Store), newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	held := first(t, g, accepting, one)
	message := one.message("a@acme.test", "user@example.com")
	leader := submitOnce(t.Context(), accepting, claimOf(one.organization, "key", "body"), message)
	again := submitOnce(t.Context(), accepting, claimOf(one.organization, "key", "body"), message)
	another := submitOnce(t.Context(), accepting, claimOf(one.organization, "key", "another body"), message)
	plain := submit(t.Context(), accepting, message)
	stranger := submitOnce(t.Context(), accepting, claimOf(other.organization, "key", "body"), other.message("a@acme.test", "user@example.com"))
	close(g.release)
	for name, c := range map[string]<-chan outcome{"held": held, "plain": plain, "stranger": stranger} {
		if got := <-c; got.err != nil || got.results[0].Refusal != nil {
			t.Errorf("%s got %+v", name, got)
		}
	}
	led := <-leader
	if led.err != nil || led.results[0].Refusal != nil {
		t.Fatalf("the first got %+v", led)
	}
	if got := <-again; got.replayed() != led.results[0].ID.String() {
		t.Errorf("the same request got %+v", got)
	}
	if got := <-another; !errors.Is(got.err, idempotency.ErrReused) {
		t.Errorf("another request got %+v", got)
	}
	if found := g.transactions(); found != 1 {
		t.Errorf("they took %d transactions", found)
	}
	// Later requests, in a group of their own, get the same.
	if _, err := accepting.AcceptOnce(t.Context(), []intake.Message{message}, claimOf(one.organization, "key", "body")); (outcome{err: err}).replayed() != led.results[0].ID.String() {
		t.Errorf("the request got %v later", err)
	}
	if one.stored() != 3 || other.stored() != 1 {
		t.Errorf("stored %d and %d", one.stored(), other.stored())
	}
}

// TestARefusalIsNotKept: a request that shares a key with a refused request is refused like it, or may try again.
func TestARefusalIsNotKept(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	held := first(t, g, accepting, one)
	good, bad := one.message("a@acme.test", "user@example.com"), one.message("a@unverified.test", "user@example.com")
	refused := submitOnce(t.Context(), accepting, claimOf(one.organization, "key", "bad"), bad)
	again := submitOnce(t.Context(), accepting, claimOf(one.organization, "key", "bad"), bad)
	mended := submitOnce(t.Context(), accepting, claimOf(one.organization, "key", "good"), good)
	close(g.release)
	<-held
	for _, c := range []<-chan outcome{refused, again} {
		if got := <-c; got.err != nil || got.results[0].Refusal == nil || got.results[0].Refusal.Reason != intake.DomainNotVerified {
			t.Errorf("a bad one got %+v", got)
		}
	}
	if got := <-mended; !errors.Is(got.err, idempotency.ErrInProgress) {
		t.Errorf("the mended one got %+v", got)
	}
	results, err := accepting.AcceptOnce(t.Context(), []intake.Message{good}, claimOf(one.organization, "key", "good"))
	if err != nil || results[0].Refusal != nil {
		t.Errorf("the mended one got %+v, %v later", results, err)
	}
	if one.stored() != 2 {
		t.Errorf("stored %d", one.stored())
	}
}

// TestKeysOfABrokenGroup: a group that is split claims its keys anew, in each part.
func TestKeysOfABrokenGroup(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	held := first(t, g, accepting, one)
	message := one.message("a@acme.test", "user@example.com")
	broken := message
	broken.Subject = "\x00"
	var came []<-chan outcome
	for _, key := range []string{"a", "b", "a", "b", "c"} {
		came = append(came, submitOnce(t.Context(), accepting, claimOf(one.organization, key, "body"), message))
	}
	failing := submitOnce(t.Context(), accepting, claimOf(one.organization, "d", "body"), broken)
	close(g.release)
	<-held
	worked, replayed := 0, 0
	for _, c := range came {
		switch got := <-c; {
		case got.err == nil && got.results[0].Refusal == nil:
			worked++
		case got.replayed() != "":
			replayed++
		default:
			t.Errorf("got %+v", got)
		}
	}
	if got := <-failing; got.err == nil {
		t.Errorf("the broken one got %+v", got)
	}
	if worked != 3 || replayed != 2 || one.stored() != 4 {
		t.Errorf("%d did their work, %d were replayed, %d are stored", worked, replayed, one.stored())
	}
	if _, err := accepting.AcceptOnce(t.Context(), []intake.Message{message}, claimOf(one.organization, "d", "mended")); err != nil {
		t.Errorf("the key of the broken one: %v", err)
	}
}

// TestNothingToAcceptIsKept: the response to a request of which nothing was accepted can be a success too.
func TestNothingToAcceptIsKept(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	close(g.release)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	claim := claimOf(one.organization, "key", "body")
	claim.Respond = func([]intake.Result) (*idempotency.Response, error) {
		return &idempotency.Response{Status: http.StatusAccepted, Body: []byte("all rejected")}, nil
	}
	bad := []intake.Message{one.message("a@unverified.test", "user@example.com")}
	if results, err := accepting.AcceptOnce(t.Context(), bad, claim); err != nil || results[0].Refusal == nil {
		t.Fatalf("got %+v, %v", results, err)
	}
	if _, err := accepting.AcceptOnce(t.Context(), bad, claim); (outcome{err: err}).replayed() != "all rejected" {
		t.Errorf("got %v", err)
	}
	if one.stored() != 0 {
		t.Errorf("stored %d", one.stored())
	}
}

// TestAnAnswerThatCannotBeMade: a failure to make the response ends the work.
func TestAnAnswerThatCannotBeMade(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	close(g.release)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	claim := claimOf(one.organization, "key", "body")
	claim.Respond = func([]intake.Result) (*idempotency.Response, error) { return nil, errors.New("no answer") }
	if _, err := accepting.AcceptOnce(t.Context(), []intake.Message{one.message("a@acme.test", "user@example.com")}, claim); err == nil {
		t.Error("it was accepted")
	}
	if one.stored() != 0 {
		t.Errorf("stored %d", one.stored())
	}
}
