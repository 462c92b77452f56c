package sessim_test

import (
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestAnswersThatNobodyGotAreCounted(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	if got := r.Answers(); got != (sessim.Answers{}) {
		t.Error("all was answered:", got)
	}
	r.SetFaults(sessim.Faults{DropAnswer: 2})
	for range 2 {
		_, err := r.client.Send(t.Context(), message())
		wantClass(t, err, ses.Ambiguous)
	}
	r.SetFaults(sessim.Faults{Hang: 1})
	hasty := r.connect(t, ses.Config{Timeout: 2 * time.Second})
	_, err := hasty.Send(t.Context(), message())
	wantClass(t, err, ses.Ambiguous)
	eventually(t, "the call ends", func() bool { return r.Answers().UnderWay == 0 })
	if got := r.Answers(); got != (sessim.Answers{Dropped: 2, GivenUp: 1}) {
		t.Error("got", got)
	}
	r.SetFaults(sessim.Faults{Hang: 1})
	done := make(chan error, 1)
	go func() {
		_, err := r.client.Send(t.Context(), message())
		done <- err
	}()
	eventually(t, "the call is under way", func() bool { return r.Answers().UnderWay == 1 })
	r.ClearFaults()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestEventsThatNobodyTakesAreCounted(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	err := r.Publish(sessim.Events{URL: r.url + "/nobody", TopicARN: "arn:aws:sns:us-east-1:000000000000:mailstack", Own: r.url})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.client.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Answers(); got != (sessim.Answers{Unpublished: 2}) {
		t.Error("the subscription was never confirmed:", got)
	}
}
