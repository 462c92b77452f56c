package command_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/store/storetest"
)

const (
	deadLetters   = "mailstack-dead"
	deliveryEvent = `{"eventType":"Delivery","mail":{"messageId":"0"},"delivery":{"recipients":["a@example.com"]}}`
)

// TestRedriveBringsBackWhatAnEndpointMissed: while no server runs, SNS tries for an hour, which passes at once here, and puts the
// events into the dead-letter queue. The doctor counts them, and redrive stores the genuine ones, once.
func TestRedriveBringsBackWhatAnEndpointMissed(t *testing.T) {
	t.Parallel()
	database := migrated(t)
	a := newAccount(t, database, startResolver(t))
	a.environment = append(a.environment, "MAILSTACK_EVENTS_TOPICS="+eventsTopic,
		"MAILSTACK_EVENTS_TRUSTED_HOST="+strings.TrimPrefix(a.url, "http://"))
	serving := launch(t, a.environment, "serve")
	endpoint := "http://" + serving.logged("serving", "address") + "/internal/ses/events"
	a.awaitListening(t, endpoint)
	setupCalls := a.Calls()
	serving.stops()
	a.Topics().SkipWaits()
	for range 12 {
		a.Topics().Publish(eventsTopic, deliveryEvent)
	}
	a.Topics().Send(deadLetters, `{"Type":"Notification","MessageId":"forged","TopicArn":"`+eventsTopic+`","Message":"{}"}`)
	eventually(t, "SNS has given up", func() bool { return a.Topics().Held(deadLetters) == 13 })

	printed := diagnose(t, a.environment, 1, "--wait=1s")
	if !strings.Contains(printed, "SNS tries for 1h0m0s, then ") || !strings.Contains(printed, "warning: 13 events lie in the dead-letter queue") {
		t.Errorf("the doctor says:\n%s", printed)
	}
	redrive := launch(t, a.environment, "ses", "redrive")
	redrive.exits(0)
	if said := redrive.stdout.String(); !strings.Contains(said, "left 1 messages") {
		t.Errorf("redrive says %q", said)
	}
	var stored, forged int
	err := storetest.Open(t, database).Pool().QueryRow(t.Context(),
		"SELECT count(*) FILTER (WHERE body = $1), count(*) FILTER (WHERE message_id = 'forged') FROM notifications", deliveryEvent).Scan(&stored, &forged)
	if err != nil || stored != 12 || forged != 0 {
		t.Errorf("stored %d events and %d forged ones: %v", stored, forged, err)
	}
	if held := a.Topics().Held(deadLetters); held != 1 {
		t.Errorf("%d messages are left", held)
	}
	calls := slices.DeleteFunc(a.Calls(), func(call string) bool { return slices.Contains(setupCalls, call) })
	permitted(t, calls, printedPolicy(t, "--endpoint"))
}

// TestRedriveOfAQueue: what the workers could not read for days is stored once the reason is gone.
func TestRedriveOfAQueue(t *testing.T) {
	t.Parallel()
	database := migrated(t)
	a := newAccount(t, database, startResolver(t))
	a.setUp(t, "--queue=events")
	a.Topics().Send("events-dead", deliveryEvent)
	a.Topics().Send("events-dead", "no event")
	redrive := launch(t, a.environment, "ses", "redrive")
	redrive.exits(0)
	if said := redrive.stdout.String(); !strings.Contains(said, "stored 1 events, left 1 ") {
		t.Errorf("redrive says %q", said)
	}
	if held := a.Topics().Held("events-dead"); held != 1 {
		t.Errorf("%d messages are left", held)
	}
}

// TestSetupMendsTheDeadLetters: the doctor warns where undelivered events would be lost, and setup makes a queue for them.
func TestSetupMendsTheDeadLetters(t *testing.T) {
	t.Parallel()
	a := newAccount(t, migrated(t), startResolver(t))
	a.environment = append(a.environment, "MAILSTACK_EVENTS_TOPICS="+eventsTopic,
		"MAILSTACK_EVENTS_TRUSTED_HOST="+strings.TrimPrefix(a.url, "http://"))
	serving := launch(t, a.environment, "serve")
	endpoint := "http://" + serving.logged("serving", "address") + "/internal/ses/events"
	a.awaitListening(t, endpoint)
	a.Topics().Remove("arn:aws:sqs:eu-west-1:000000000000:" + deadLetters)
	if printed := diagnose(t, a.environment, 0); !strings.Contains(printed, "warning: the dead-letter queue is gone") {
		t.Errorf("without a dead-letter queue the doctor says:\n%s", printed)
	}
	if printed := a.setUp(t, "--endpoint="+endpoint); !strings.Contains(printed, "made     dead-letter queue") {
		t.Errorf("setup says:\n%s", printed)
	}
	if printed := diagnose(t, a.environment, 0); strings.Contains(printed, "warning") {
		t.Errorf("after setup the doctor says:\n%s", printed)
	}
	serving.stops()
}

func TestRedriveNeedsToKnowTheEvents(t *testing.T) {
	t.Parallel()
	if _, stderr, code := execute(t, "ses", "redrive"); code != 2 || !strings.Contains(stderr, "MAILSTACK_EVENTS_TOPICS") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
