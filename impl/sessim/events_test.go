package sessim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

const destinations = "/v2/email/configuration-sets/" + set + "/event-destinations"

// wired is a simulator whose events go to the queue "events".
func wired(t *testing.T) (r *rig, topic string) {
	t.Helper()
	r = ready(t, sessim.Config{})
	client, err := awsevents.New(t.Context(), ses.Config{
		Region: "us-east-1", Endpoint: r.url, StaticAccessKey: "test", StaticSecretKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := client.Caller(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	topic, _, err = client.EnsureTopic(t.Context(), caller, "events", set)
	if err != nil {
		t.Fatal(err)
	}
	_, queue, _, err := client.EnsureQueue(t.Context(), "events", topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.EnsureSubscription(t.Context(), topic, "sqs", queue, ""); err != nil {
		t.Fatal(err)
	}
	return r, topic
}

func (r *rig) bounce(t *testing.T) {
	t.Helper()
	m := message()
	m.To = []string{"bounce@simulator.amazonses.com"}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// Events go to the destinations of the configuration set, if they are enabled and name the event's type.
func TestEventsGoToTheDestinationsOfTheConfigurationSet(t *testing.T) {
	t.Parallel()
	r, topic := wired(t)
	r.bounce(t) // no destination yet
	for _, want := range []ses.Change{ses.Created, ses.Unchanged} {
		if state, err := r.client.EnsureDestination(t.Context(), topic, false); err != nil || state != want {
			t.Fatalf("the destination is %s, want %s: %v", state, want, err)
		}
	}
	r.bounce(t)
	eventually(t, "Send and Bounce are in the queue", func() bool { return r.Topics().Held("events") == 2 })
	for i, body := range []string{`"Enabled":true,"MatchingEventTypes":["BOUNCE"]`, `"Enabled":false,"MatchingEventTypes":["BOUNCE"]`} {
		body = `{"EventDestination":{` + body + `,"SnsDestination":{"TopicArn":"` + topic + `"}}}`
		if status, _, answer := r.call(t, http.MethodPut, destinations+"/mailstack", body); status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
		found, err := r.client.GetConfigurationSet(t.Context())
		if err != nil || len(found.Destinations) != 1 || len(found.Destinations[0].Missing) != 6 || found.Destinations[0].Enabled != (i == 0) {
			t.Errorf("the configuration set is %+v: %v", found, err)
		}
		r.bounce(t)
		eventually(t, "the Bounce is in the queue", func() bool { return r.Topics().Held("events") == 3 })
	}
	if state, err := r.client.EnsureDestination(t.Context(), topic, false); err != nil || state != ses.Updated {
		t.Errorf("the destination is %s: %v", state, err)
	}
	for _, step := range []struct {
		tracking bool
		want     ses.Change
	}{{false, ses.Unchanged}, {true, ses.Updated}, {true, ses.Unchanged}, {false, ses.Updated}} {
		if state, err := r.client.EnsureDestination(t.Context(), topic, step.tracking); err != nil || state != step.want {
			t.Errorf("tracking %t: the destination is %s: %v", step.tracking, state, err)
		}
		if found, err := r.client.GetConfigurationSet(t.Context()); err != nil || found.Destinations[0].Tracking != step.tracking {
			t.Errorf("tracking %t: the configuration set is %+v: %v", step.tracking, found, err)
		}
	}
}

func TestDestinationsAreRefusedAsSESDoes(t *testing.T) {
	t.Parallel()
	r, topic := wired(t)
	destination := func(name, types, topic string) string {
		return `{"EventDestinationName":"` + name + `","EventDestination":{"Enabled":true,"MatchingEventTypes":` + types +
			`,"SnsDestination":{"TopicArn":"` + topic + `"}}}`
	}
	good := destination("a", `["SEND"]`, topic)
	for body, want := range map[string]int{
		good:                                    http.StatusOK,
		destination("a b", `["SEND"]`, topic):   http.StatusBadRequest,
		destination("b", `[]`, topic):           http.StatusBadRequest,
		destination("b", `["LIKED"]`, topic):    http.StatusBadRequest,
		destination("b", `["SEND"]`, topic+"2"): http.StatusBadRequest,
		`{"EventDestinationName":"b","EventDestination":{"MatchingEventTypes":["SEND"]}}`: http.StatusBadRequest,
	} {
		if status, _, answer := r.call(t, http.MethodPost, destinations, body); status != want {
			t.Errorf("%s: %d %v", body, status, answer)
		}
	}
	if status, _, _ := r.call(t, http.MethodPost, destinations, good); status != http.StatusBadRequest {
		t.Errorf("the same name again: %d", status)
	}
	for _, path := range []string{destinations + "/none", strings.Replace(destinations, set, "none", 1) + "/a"} {
		if status, _, _ := r.call(t, http.MethodDelete, path, ""); status != http.StatusNotFound {
			t.Errorf("delete %s: %d", path, status)
		}
	}
	// A topic to which SES may no longer publish gets nothing.
	r.bounce(t)
	eventually(t, "Send is in the queue", func() bool { return r.Topics().Held("events") == 1 })
	r.Topics().Remove(topic)
	r.bounce(t)
	if held := r.Topics().Held("events"); held != 1 {
		t.Errorf("%d messages are in the queue", held)
	}
}

// listener is a subscriber that accepts events, or responds 503 while it is down.
type listener struct {
	down  atomic.Bool
	kinds chan string
	url   string
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{kinds: make(chan string, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var said struct{ Type, Message, SubscribeURL string }
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &said) != nil {
			t.Errorf("posted %q: %v", body, err)
		}
		switch {
		case said.Type == "SubscriptionConfirmation":
			go func() {
				answer, err := http.Get(said.SubscribeURL) //nolint:noctx // of a test
				if err == nil {
					_ = answer.Body.Close()
				}
			}()
		case l.down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			var event struct{ EventType string }
			_ = json.Unmarshal([]byte(said.Message), &event)
			l.kinds <- event.EventType
		}
	}))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// Events that no subscriber has accepted when the simulator is closed are posted by the next one, once.
func TestEventsSurviveARestart(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	// Two listeners: one that gets a post while its simulator closes may accept the event without the simulator
	// noticing.
	down, subscriber := listen(t), listen(t)
	down.down.Store(true)
	publish := func(subscriber *listener) *rig {
		r := start(t, sessim.Config{Journal: journal})
		if err := r.Publish(sessim.Events{URL: subscriber.url, TopicARN: "arn:aws:sns:us-east-1:000000000000:x", Own: r.url}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := publish(down)
	if err := first.client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.client.CreateIdentity(t.Context(), "mail.test"); err != nil {
		t.Fatal(err)
	}
	first.bounce(t)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := publish(subscriber)
	got := map[string]bool{<-subscriber.kinds: true, <-subscriber.kinds: true}
	if !got["Send"] || !got["Bounce"] {
		t.Errorf("got %v", got)
	}
	// Wait for the responses: an event without one would rightly be posted again.
	eventually(t, "all is taken", func() bool { return second.Answers().Unpublished == 0 })
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	third := publish(subscriber)
	third.bounce(t)
	<-subscriber.kinds
	<-subscriber.kinds
	eventually(t, "all is taken", func() bool { return third.Answers().Unpublished == 0 })
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if left := len(subscriber.kinds); left != 0 {
		t.Errorf("%d events were posted again", left)
	}
}

// Topics, subscriptions and queues survive a restart.
func TestTopicsSurviveARestart(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	for _, want := range []ses.Change{ses.Created, ses.Unchanged} {
		r := start(t, sessim.Config{Journal: journal})
		client, err := awsevents.New(t.Context(), ses.Config{
			Region: "us-east-1", Endpoint: r.url, StaticAccessKey: "test", StaticSecretKey: "test",
		})
		if err != nil {
			t.Fatal(err)
		}
		caller, err := client.Caller(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		topic, state, err := client.EnsureTopic(t.Context(), caller, "events", set)
		if err != nil || state != want {
			t.Errorf("topic %s: %v", state, err)
		}
		_, queue, state, err := client.EnsureQueue(t.Context(), "events", topic)
		if err != nil || state != want {
			t.Errorf("queue %s: %v", state, err)
		}
		if state, _, err := client.EnsureSubscription(t.Context(), topic, "sqs", queue, ""); err != nil || state != want {
			t.Errorf("subscription %s: %v", state, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
