package awsevents_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/ses"
)

// endpoint is a web server that confirms subscriptions and answers events with a status.
type endpoint struct {
	url    string
	status atomic.Int64
	posts  atomic.Int64
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-amz-sns-message-type") == "Notification" {
			e.posts.Add(1)
		}
		w.WriteHeader(int(e.status.Load()))
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	e.status.Store(http.StatusOK)
	return e
}

// subscribed subscribes a web server with its dead-letter queue, and confirms for it.
func (r *rig) subscribed(t *testing.T, url string) (topic string) {
	t.Helper()
	topic, _, err := r.EnsureTopic(t.Context(), r.caller, "events", "one")
	must(t, err)
	_, dead, _, err := r.EnsureDeadLetters(t.Context(), topic)
	must(t, err)
	state, confirmed, err := r.EnsureSubscription(t.Context(), topic, "http", url, dead)
	must(t, err)
	if state != ses.Created || confirmed {
		t.Errorf("the subscription is %s, confirmed %t", state, confirmed)
	}
	r.simulator.ConfirmAll(topic)
	return topic
}

func (r *rig) delivery(t *testing.T, topic string) awsevents.Delivery {
	t.Helper()
	subscriptions, err := r.Subscriptions(t.Context(), topic)
	must(t, err)
	if len(subscriptions) != 1 || !subscriptions[0].Confirmed || !subscriptions[0].HTTP() {
		t.Fatalf("subscribed: %+v", subscriptions)
	}
	found, err := r.Delivery(t.Context(), subscriptions[0])
	must(t, err)
	return found
}

func TestAWebServerGetsTheLongestRetriesAndADeadLetterQueue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status, posts int64
	}{
		"server error": {http.StatusServiceUnavailable, 72}, "throttled": {http.StatusTooManyRequests, 72},
		"client error": {http.StatusForbidden, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, web := newRig(t), newEndpoint(t)
			topic := r.subscribed(t, web.url)
			want := awsevents.Delivery{Retries: time.Hour, DeadLetter: "arn:aws:sqs:eu-west-1:000000000000:events-dead"}
			if got := r.delivery(t, topic); got != want {
				t.Errorf("delivery: %+v", got)
			}
			web.status.Store(test.status)
			r.simulator.SkipWaits()
			r.simulator.Publish(topic, "lost?")
			queue, err := r.QueueOfARN(t.Context(), want.DeadLetter)
			must(t, err)
			messages, err := queue.Receive(t.Context())
			must(t, err)
			if len(messages) != 1 || web.posts.Load() != test.posts {
				t.Errorf("%d dead letters after %d posts, want %d", len(messages), web.posts.Load(), test.posts)
			}
			if length, err := queue.Length(t.Context()); err != nil || length != 1 {
				t.Errorf("the queue holds %d: %v", length, err)
			}
		})
	}
}

// A subscription that an older setup made gets what it lacks; a dead-letter queue that is set already stays.
func TestASubscriptionThatIsThereIsCompleted(t *testing.T) {
	t.Parallel()
	r, web := newRig(t), newEndpoint(t)
	topic, _, err := r.EnsureTopic(t.Context(), r.caller, "events", "one")
	must(t, err)
	for _, dead := range []string{"", "arn:aws:sqs:eu-west-1:000000000000:first"} {
		_, _, err = r.EnsureSubscription(t.Context(), topic, "http", web.url, dead)
		must(t, err)
	}
	r.simulator.ConfirmAll(topic)
	if got := r.delivery(t, topic); got != (awsevents.Delivery{Retries: time.Minute}) {
		t.Errorf("SNS's own delivery: %+v", got)
	}
	state, _, err := r.EnsureSubscription(t.Context(), topic, "http", web.url, "arn:aws:sqs:eu-west-1:000000000000:first")
	must(t, err)
	if state != ses.Updated {
		t.Errorf("completed: %s", state)
	}
	state, confirmed, err := r.EnsureSubscription(t.Context(), topic, "http", web.url, "arn:aws:sqs:eu-west-1:000000000000:second")
	must(t, err)
	want := awsevents.Delivery{Retries: time.Hour, DeadLetter: "arn:aws:sqs:eu-west-1:000000000000:first"}
	if got := r.delivery(t, topic); state != ses.Unchanged || !confirmed || got != want {
		t.Errorf("again: %s, %+v", state, got)
	}
	subscriptions, err := r.Subscriptions(t.Context(), topic)
	must(t, err)
	_, err = r.topics.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{
		SubscriptionArn: aws.String(subscriptions[0].ARN), AttributeName: aws.String("DeliveryPolicy"),
		AttributeValue: aws.String(`{"healthyRetryPolicy":{"numRetries":3601,"minDelayTarget":1,"maxDelayTarget":1}}`),
	})
	if err == nil {
		t.Error("SNS takes longer retries than it documents")
	}
}
