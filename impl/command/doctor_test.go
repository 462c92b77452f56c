package command_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// diagnose runs the doctor and returns what it printed.
func diagnose(t *testing.T, environment []string, code int, arguments ...string) string {
	t.Helper()
	doctor := launch(t, environment, append([]string{"doctor", "--from=doctor@acme.example"}, arguments...)...)
	doctor.exits(code)
	return doctor.stdout.String()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// awaitListening waits until serve has confirmed the subscription.
func (a *account) awaitListening(t *testing.T, endpoint string) {
	t.Helper()
	a.setUp(t, "--endpoint="+endpoint)
	eventually(t, "the subscription is confirmed", func() bool {
		return !strings.Contains(a.setUp(t, "--endpoint="+endpoint), "not confirmed")
	})
}

// TestDoctorPassesWhereServeListens goes through a public URL: setup, serve, setup again, and serve stores the event of
// the doctor's message.
func TestDoctorPassesWhereServeListens(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	a := newAccount(t, p.database, startResolver(t))
	a.environment = append(a.environment, "MAILSTACK_EVENTS_TOPICS="+eventsTopic,
		"MAILSTACK_EVENTS_TRUSTED_HOST="+strings.TrimPrefix(a.url, "http://"))
	serving := launch(t, a.environment, "serve")
	a.awaitListening(t, "http://"+serving.logged("serving", "address")+"/internal/ses/events")
	printed := diagnose(t, a.environment, 0)
	if lastLine(printed) != "all is well" || strings.Contains(printed, "warning") {
		t.Errorf("the doctor says:\n%s", printed)
	}
	// The events of the probe are settled, and only their ids are left.
	database := storetest.Open(t, p.database)
	eventually(t, "the events of the probe are settled", func() bool {
		var left int
		err := database.Pool().QueryRow(t.Context(), "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL OR length(body) > 36").Scan(&left)
		return err == nil && left == 0
	})
	if strings.Contains(serving.stderr.String(), "events of SES were dropped") {
		t.Error("serve complains about the probe")
	}
	serving.stops()
}

// TestDoctorPassesWithAQueue: the doctor leaves the queue to the workers; without a worker it receives the event
// itself, and says so.
func TestDoctorPassesWithAQueue(t *testing.T) {
	t.Parallel()
	a := newAccount(t, migrated(t), startResolver(t))
	a.setUp(t, "--queue=events")
	if printed := diagnose(t, a.environment, 0, "--wait=15s"); !strings.Contains(printed, "until the doctor collected") {
		t.Errorf("without a worker the doctor says:\n%s", printed)
	}
	a.setUp(t, "--queue=events", "--tracking")
	if printed := diagnose(t, a.environment, 0, "--wait=15s"); !strings.Contains(printed, "warning: opens and clicks are tracked") {
		t.Errorf("with tracking the doctor says:\n%s", printed)
	}
	a.setUp(t, "--queue=events")
	worker := launch(t, a.environment, "worker")
	worker.logged("working", "level")
	sandbox := false
	if err := a.SetAccount(sessim.AccountChange{ProductionAccess: &sandbox}); err != nil {
		t.Fatal(err)
	}
	printed := diagnose(t, a.environment, 0)
	if lastLine(printed) != "all is well" || strings.Contains(printed, "until the doctor collected") || !strings.Contains(printed, "sandbox") {
		t.Errorf("with a worker the doctor says:\n%s", printed)
	}
	worker.stops()
}

func TestDoctorNamesTheHop(t *testing.T) {
	t.Parallel()
	database, resolver := migrated(t), startResolver(t)
	const destination = "/v2/email/configuration-sets/mailstack/event-destinations/mailstack"
	paused, shutdown := false, "SHUTDOWN"
	change := func(t *testing.T, a *account, c sessim.AccountChange) {
		t.Helper()
		if err := a.SetAccount(c); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		breaks     func(t *testing.T, a *account)
		variable   string
		arguments  []string
		step, says string
	}{
		"no secret key":     {step: "configuration", variable: "MAILSTACK_SECRET_KEY=", says: "MAILSTACK_SECRET_KEY"},
		"nowhere to listen": {step: "configuration", variable: "MAILSTACK_EVENTS_TOPICS=|MAILSTACK_EVENTS_QUEUE=", says: "ses setup"},
		"no set":            {step: "configuration", variable: "MAILSTACK_CONFIGURATION_SET=", says: "MAILSTACK_CONFIGURATION_SET"},
		"no Postgres":       {step: "database", variable: "DATABASE_URL=postgres://nobody@127.0.0.1:1/none", says: "DATABASE_URL"},
		"old tables":        {step: "migrations", variable: "DATABASE_URL=" + storetest.EmptyURL(t), says: "mailstack migrate"},
		"no region":         {step: "credentials", variable: "AWS_REGION=", says: "AWS_REGION"},
		"wrong credentials": {
			step: "credentials", says: "AWS_ACCESS_KEY_ID",
			breaks: func(_ *testing.T, a *account) { a.SetFaults(sessim.Faults{Operations: []string{"*"}, Forbid: -1}) },
		},
		"no answer": {step: "credentials", variable: "AWS_ENDPOINT_URL=http://127.0.0.1:1", says: "connection refused"},
		"no permission": {
			step: "account", says: "ses policy",
			breaks: func(_ *testing.T, a *account) {
				a.SetFaults(sessim.Faults{Operations: []string{"GetAccount"}, Forbid: -1})
			},
		},
		"paused": {
			step: "account", says: "does not let",
			breaks: func(t *testing.T, a *account) { change(t, a, sessim.AccountChange{SendingEnabled: &paused}) },
		},
		"shut down": {
			step: "account", says: "SHUTDOWN",
			breaks: func(t *testing.T, a *account) { change(t, a, sessim.AccountChange{EnforcementStatus: &shutdown}) },
		},
		"no quota": {
			step: "account", says: "quota",
			breaks: func(t *testing.T, a *account) {
				none := 0.0
				change(t, a, sessim.AccountChange{Max24Hour: &none})
			},
		},
		"another set": {step: "configuration set", variable: "MAILSTACK_CONFIGURATION_SET=other", says: "ses setup"},
		"no destination": {
			step: "event destination", says: "ses setup",
			breaks: func(t *testing.T, a *account) { a.signed(t, http.MethodDelete, destination, "") },
		},
		"destination disabled": {
			step: "event destination", says: "enabled",
			breaks: func(t *testing.T, a *account) {
				a.signed(t, http.MethodPut, destination,
					`{"EventDestination":{"Enabled":false,"MatchingEventTypes":["SEND"],"SnsDestination":{"TopicArn":"`+eventsTopic+`"}}}`)
			},
		},
		"no bounces": {
			step: "event destination", says: "BOUNCE",
			breaks: func(t *testing.T, a *account) {
				a.signed(t, http.MethodPut, destination,
					`{"EventDestination":{"Enabled":true,"MatchingEventTypes":["SEND","DELIVERY"],"SnsDestination":{"TopicArn":"`+eventsTopic+`"}}}`)
			},
		},
		"no bounces at two destinations": {
			step: "event destination", says: "BOUNCE",
			breaks: func(t *testing.T, a *account) {
				body := `"EventDestination":{"Enabled":true,"MatchingEventTypes":["SEND","DELIVERY"],"SnsDestination":{"TopicArn":"` + eventsTopic + `"}}}`
				a.signed(t, http.MethodPut, destination, "{"+body)
				a.signed(t, http.MethodPost, "/v2/email/configuration-sets/mailstack/event-destinations", `{"EventDestinationName":"second",`+body)
			},
		},
		"another topic": {
			step: "event destination", says: "MAILSTACK_EVENTS_TOPICS", variable: "MAILSTACK_EVENTS_TOPICS=" + eventsTopic + "2",
		},
		"dead DNS": {step: "resolver", variable: "MAILSTACK_DNS_SERVER=127.0.0.1:1", says: "MAILSTACK_DNS_SERVER"},
		"topic deleted": {
			step: "topic", says: "ses setup",
			breaks: func(_ *testing.T, a *account) { a.Topics().Remove(eventsTopic) },
		},
		"queue deleted": {
			step: "queue", says: "MAILSTACK_EVENTS_QUEUE",
			breaks: func(_ *testing.T, a *account) { a.Topics().Remove(eventsQueue) },
		},
		"queue not subscribed": {
			step: "subscription", says: "ses setup",
			breaks: func(t *testing.T, a *account) {
				a.Topics().Remove(eventsTopic)
				a.setUp(t, "--endpoint=http://127.0.0.1:1/internal/ses/events")
			},
		},
		"not confirmed": {
			step: "subscription", says: "not confirmed", variable: "MAILSTACK_EVENTS_QUEUE=",
			breaks: func(t *testing.T, a *account) { a.setUp(t, "--endpoint=http://127.0.0.1:1/internal/ses/events") },
		},
		"unverified sender": {step: "message", says: "--from", arguments: []string{"--from=me@other.example"}},
		"no domain":         {step: "message", says: "/v1/domains", arguments: []string{"--from="}},
		"may not send": {
			step: "message", says: "ses policy",
			breaks: func(_ *testing.T, a *account) { a.SetFaults(sessim.Faults{Forbid: -1}) },
		},
		"throttled": {
			step: "message", says: "dashboard",
			breaks: func(_ *testing.T, a *account) { a.SetFaults(sessim.Faults{Throttle: -1}) },
		},
		"a queue that may not be read": {
			step: "event", says: "receiving from the queue failed", arguments: []string{"--wait=9s"},
			breaks: func(_ *testing.T, a *account) {
				a.Topics().Forbid("events")
				a.SetFaults(sessim.Faults{Operations: []string{"ReceiveMessage"}, Forbid: -1})
			},
		},
		"a topic that may not send to the queue": {
			step: "event", says: "ses setup", arguments: []string{"--wait=2s"},
			breaks: func(_ *testing.T, a *account) { a.Topics().Forbid("events") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, database, resolver)
			a.setUp(t, "--queue=events")
			if test.breaks != nil {
				test.breaks(t, a)
			}
			environment := slices.Clone(a.environment)
			if test.variable != "" {
				environment = append(environment, strings.Split(test.variable, "|")...)
			}
			printed := diagnose(t, environment, 1, test.arguments...)
			if lastLine(printed) != "stopped at: "+test.step || !strings.Contains(printed, test.says) || !strings.Contains(printed, "what to do") {
				t.Errorf("want the step %q, and %q:\n%s", test.step, test.says, printed)
			}
		})
	}
}

// TestEventsComeThroughTheQueue: an email that bounced becomes Bounced, also after the worker was killed; and the
// printed policy allows every call that was made.
func TestEventsComeThroughTheQueue(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	setup := launch(t, p.environment, "ses", "setup", "--queue=events")
	setup.exits(0)
	for line := range strings.Lines(exports(setup.stdout.String())) {
		p.environment = append(p.environment, strings.TrimSpace(strings.TrimPrefix(line, "export ")))
	}
	setupCalls := p.simulator.Calls()
	serving, c := p.serve(t)
	p.verify(t, c, "acme.example")
	bounced := func(c client) {
		t.Helper()
		var accepted, email struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		}
		to := "bounce+" + strings.ReplaceAll(strings.ToLower(t.Name()), "/", "") + "@simulator.amazonses.com"
		c.do(t, http.MethodPost, "/v1/emails", `{"from":"hello@acme.example","to":"`+to+`","subject":"Hi","text":"There."}`, &accepted)
		eventually(t, "the email is bounced", func() bool {
			c.do(t, http.MethodGet, "/v1/emails/"+accepted.ID, "", &email)
			return email.Status == "Bounced"
		})
		if status := c.do(t, http.MethodDelete, "/v1/suppressions/"+to, "", nil); status != http.StatusNoContent {
			t.Errorf("delete the suppression: %d", status)
		}
	}
	bounced(c)
	eventually(t, "the queue is emptied", func() bool { return p.simulator.Topics().Held("events") == 0 })
	serving.kill()
	serving, c = p.serve(t)
	bounced(c)
	doctor := launch(t, p.environment, "doctor")
	doctor.exits(0)
	if printed := doctor.stdout.String(); lastLine(printed) != "all is well" || !strings.Contains(printed, "doctor@acme.example") {
		t.Errorf("the doctor says:\n%s", printed)
	}
	// A probe has several events, of which the doctor waits for one. What a stop leaves in the queue is for the next process.
	eventually(t, "the queue is emptied", func() bool { return p.simulator.Topics().Held("events") == 0 })
	serving.stops()
	policy := printedPolicy(t)
	calls := p.simulator.Calls()
	permitted(t, slices.DeleteFunc(slices.Clone(calls), func(call string) bool {
		return slices.Contains(setupCalls, call) && slices.Contains(printedPolicy(t, "--setup"), call)
	}), policy)
	if !slices.Contains(calls, "sqs:DeleteMessageBatch") || !slices.Contains(calls, "ses:SendEmail") {
		t.Errorf("called: %q", calls)
	}
}
