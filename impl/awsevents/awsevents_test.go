package awsevents_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/snssim"
)

// rig is a client of a simulated account, and the plain SDK's clients of it.
type rig struct {
	*awsevents.Client
	simulator *snssim.Simulator
	topics    *sns.Client
	queues    *sqs.Client
	caller    awsevents.Caller
}

func newRig(t *testing.T) *rig {
	t.Helper()
	simulator := snssim.New(snssim.Config{Region: "eu-west-1", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(simulator)
	t.Cleanup(server.Close)
	t.Cleanup(func() { simulator.Close() })
	config := ses.Config{Region: "eu-west-1", Endpoint: server.URL, StaticAccessKey: "test", StaticSecretKey: "test"}
	client, err := awsevents.New(t.Context(), config)
	must(t, err)
	loaded, err := config.Load(t.Context())
	must(t, err)
	loaded.BaseEndpoint = aws.String(server.URL)
	caller, err := client.Caller(t.Context())
	must(t, err)
	return &rig{client, simulator, sns.NewFromConfig(loaded), sqs.NewFromConfig(loaded), caller}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCallerNamesItsResources(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := r.caller.TopicARN("a"); got != "arn:aws:sns:eu-west-1:000000000000:a" {
		t.Error(got)
	}
	china := awsevents.Caller{Account: "1", Partition: "aws-cn", Region: "cn-north-1"}
	if got := china.ConfigurationSetARN("a"); got != "arn:aws-cn:ses:cn-north-1:1:configuration-set/a" {
		t.Error(got)
	}
}

// Statements of others in the policies of topic and queue stay, and so do ours for another configuration set. Ours
// for the same set is replaced, also under the older name without a hash.
func TestPoliciesOfOthersStay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topic, state, err := r.EnsureTopic(t.Context(), r.caller, "events", "one")
	must(t, err)
	if state != ses.Created {
		t.Errorf("the topic is %s", state)
	}
	const other = `{"Sid":"Other","Effect":"Deny","Principal":"*","Action":"sns:Publish","Resource":"*"}`
	unnumbered := func(set string) string {
		return `,{"Sid":"MailStackEvents","Effect":"Allow","Principal":"*","Action":"sns:Publish","Resource":"*",` +
			`"Condition":{"StringEquals":{"aws:SourceArn":"` + r.caller.ConfigurationSetARN(set) + `"}}}`
	}
	for statements, want := range map[string]int{
		other: 3, "[" + other + "]": 3, "[" + other + unnumbered("one") + "]": 3, "[" + other + unnumbered("three") + "]": 4,
	} {
		_, err = r.topics.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{
			TopicArn: aws.String(topic), AttributeName: aws.String("Policy"),
			AttributeValue: aws.String(`{"Version":"2008-10-17","Id":"x","Statement":` + statements + `}`),
		})
		must(t, err)
		if _, state, err = r.EnsureTopic(t.Context(), r.caller, "events", "one"); err != nil || state != ses.Updated {
			t.Errorf("the topic is %s: %v", state, err)
		}
		if _, state, err = r.EnsureTopic(t.Context(), r.caller, "events", "one"); err != nil || state != ses.Unchanged {
			t.Errorf("again the topic is %s: %v", state, err)
		}
		if _, state, err = r.EnsureTopic(t.Context(), r.caller, "events", "two"); err != nil || state != ses.Updated {
			t.Errorf("for another set the topic is %s: %v", state, err)
		}
		out, err := r.topics.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(topic)})
		must(t, err)
		var policy struct {
			Version, Id string
			Statement   []struct{ Sid string }
		}
		must(t, json.Unmarshal([]byte(out.Attributes["Policy"]), &policy))
		if policy.Version != "2008-10-17" || policy.Id != "x" || len(policy.Statement) != want || policy.Statement[0].Sid != "Other" {
			t.Errorf("the policy is %s", out.Attributes["Policy"])
		}
		for _, set := range []string{"one", "two"} {
			if n := strings.Count(out.Attributes["Policy"], "configuration-set/"+set); n != 1 {
				t.Errorf("%d statements about the set %s: %s", n, set, out.Attributes["Policy"])
			}
		}
	}
	if out, err := r.topics.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(topic)}); err != nil ||
		out.Attributes["SignatureVersion"] != "2" {
		t.Errorf("attributes %v: %v", out.Attributes, err)
	}
}

// An existing queue keeps its times and its own dead-letter queue.
func TestAQueueThatIsThereKeepsItsAttributes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topic, _, err := r.EnsureTopic(t.Context(), r.caller, "events", "one")
	must(t, err)
	theirs := map[string]string{"VisibilityTimeout": "90", "RedrivePolicy": `{"deadLetterTargetArn":"arn:x:y","maxReceiveCount":3}`}
	_, err = r.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("events"), Attributes: theirs})
	must(t, err)
	for _, want := range []ses.Change{ses.Updated, ses.Unchanged} {
		queue, arn, state, err := r.EnsureQueue(t.Context(), "events", topic)
		must(t, err)
		if state != want || arn != "arn:aws:sqs:eu-west-1:000000000000:events" {
			t.Errorf("the queue %s is %s, want %s", arn, state, want)
		}
		out, err := r.queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: aws.String(queue.URL), AttributeNames: []types.QueueAttributeName{"All"},
		})
		must(t, err)
		for name, value := range theirs {
			if out.Attributes[name] != value {
				t.Errorf("%s is %s", name, out.Attributes[name])
			}
		}
	}
}

// Two topics may send into one queue.
func TestAQueueOfTwoTopics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var policy string
	for _, name := range []string{"first", "second"} {
		topic, _, err := r.EnsureTopic(t.Context(), r.caller, name, "one")
		must(t, err)
		queue, _, _, err := r.EnsureQueue(t.Context(), "events", topic)
		must(t, err)
		out, err := r.queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: aws.String(queue.URL), AttributeNames: []types.QueueAttributeName{"All"},
		})
		must(t, err)
		policy = out.Attributes["Policy"]
		if !strings.Contains(out.Attributes["RedrivePolicy"], `"maxReceiveCount":1000`) {
			t.Errorf("dead letters: %s", out.Attributes["RedrivePolicy"])
		}
	}
	for _, name := range []string{"first", "second"} {
		if !strings.Contains(policy, r.caller.TopicARN(name)) {
			t.Errorf("%s may not send: %s", name, policy)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.Subscriptions(t.Context(), r.caller.TopicARN("none")); !errors.Is(err, awsevents.ErrNotFound) {
		t.Errorf("no topic: %v", err)
	}
	queue := r.Queue("http://127.0.0.1/000000000000/none")
	if _, err := queue.ARN(t.Context()); !errors.Is(err, awsevents.ErrNotFound) {
		t.Errorf("no queue: %v", err)
	}
	if _, err := queue.Receive(t.Context()); !errors.Is(err, awsevents.ErrNotFound) {
		t.Errorf("receive from no queue: %v", err)
	}
	if err := queue.Delete(t.Context(), []awsevents.QueueMessage{{Receipt: "a"}}); !errors.Is(err, awsevents.ErrNotFound) {
		t.Errorf("delete from no queue: %v", err)
	}
}

// A received message is hidden from other receivers until its visibility timeout ends; a deleted one is gone.
func TestReceivingIsALease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topic, _, err := r.EnsureTopic(t.Context(), r.caller, "events", "one")
	must(t, err)
	queue, _, _, err := r.EnsureQueue(t.Context(), "events", topic)
	must(t, err)
	received := make(chan int)
	go func() { // waits for a message
		messages, err := queue.Receive(t.Context())
		if err != nil {
			t.Error(err)
		}
		received <- len(messages)
		if err := queue.Delete(t.Context(), messages); err != nil {
			t.Error(err)
		}
		received <- 0
	}()
	if !r.simulator.Send("events", "hello") {
		t.Fatal("there is no queue")
	}
	if count := <-received; count != 1 {
		t.Errorf("received %d messages", count)
	}
	<-received
	if held := r.simulator.Held("events"); held != 0 {
		t.Errorf("%d messages are left", held)
	}
}
