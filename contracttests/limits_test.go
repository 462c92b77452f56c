package contracttests

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
)

// retryAfter returns the seconds of a 429 for the organization's limit.
func (a answer) retryAfter() time.Duration {
	a.t.Helper()
	a.problem(http.StatusTooManyRequests, api.ProblemCodeOrganizationLimit)
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	must(a.t, err)
	return time.Duration(seconds) * time.Second
}

// A day's emails are counted by recipients, whatever they are packed in, and begin anew at midnight in UTC.
func TestDailyLimit(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	owner.setLimits(5, 0)
	owner.send(email(from, "to", "a@example.com", "cc", "b@example.com"))
	batch := decoded[api.BatchResult](owner.call(http.MethodPost, batchPath, batchOf(
		email(from, "to", "a@example.com, b@example.com"), email(from, "to", "a@example.com, b@example.com"), email(from),
	)).is(http.StatusAccepted))
	if batch.Accepted != 1 || batch.Results[1].Code == nil || *batch.Results[1].Code != api.ProblemCodeOrganizationLimit || batch.Results[2].ID != nil {
		t.Errorf("the batch is %+v", batch)
	}
	owner.send(email(from))
	wait := owner.call(http.MethodPost, singlePath, email(from)).retryAfter()
	now := s.clock.now()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	if off := now.Add(wait).Sub(midnight); off < 0 || off > time.Minute {
		t.Errorf("to be tried again %s after midnight", off)
	}
	owner.call(http.MethodPost, batchPath, batchOf(email(from))).problem(http.StatusTooManyRequests, api.ProblemCodeOrganizationLimit)
	owner.call(http.MethodGet, domainsPath, nil).is(http.StatusOK)
	if usage := owner.usage(); usage.EmailsSent != 5 {
		t.Errorf("%d emails were counted", usage.EmailsSent)
	}
	s.clock.advance(wait)
	owner.send(email(from))
	owner.setLimits(0, 0)
	owner.send(email(from, "to", "a@example.com, b@example.com, c@example.com, d@example.com, e@example.com"))
}

// What an organization sends in a second is bounded over all its keys; a batch beyond it is paid by what follows.
func TestLimitPerSecond(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	other, otherFrom := s.newSender()
	owner.setLimits(0, 1)
	s.clock.stop()
	five := email(from, "to", "a@example.com, b@example.com, c@example.com, d@example.com, e@example.com")
	owner.call(http.MethodPost, batchPath, batchOf(five, five, five, five)).is(http.StatusAccepted)
	_, second := owner.insertKey("second", []string{"emails:send"}, nil)
	wait := s.exchange(http.MethodPost, singlePath, second, email(from)).retryAfter()
	if wait != 19*time.Second {
		t.Errorf("to be tried again after %s", wait)
	}
	other.send(email(otherFrom))
	s.clock.advance(wait)
	owner.send(email(from))
}
