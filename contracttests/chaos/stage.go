package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
)

const (
	topic = "arn:aws:sns:us-east-1:000000000000:mailstack"
	look  = 100 * time.Millisecond
	// startPatience bounds the start of a process, whose port a connection may occupy for a moment.
	startPatience = time.Minute
)

// actor is a process that is killed and started again.
type actor struct {
	name, url   string
	environment []string
	arguments   []string
	// sends reports whether killing the process can lose the knowledge that SES accepted a message.
	sends   bool
	process *harness.Process
}

// stage holds the processes of a run, and counts what was done to them.
type stage struct {
	ground    *harness.Harness
	database  *store.Store
	simulator simulator
	actors    []*actor
	apis      []string
	began     time.Time
	progress  io.Writer

	mutex     sync.Mutex
	kills     int
	stops     int
	held      time.Duration // how long a snapshot was held
	ambiguous int64
	dropped   int64
}

func newStage(ctx context.Context, ground *harness.Harness, progress io.Writer) (*stage, error) {
	s := &stage{ground: ground, began: time.Now(), progress: progress}
	var err error
	if s.database, err = ground.Database(ctx, devdb.Database); err != nil {
		return nil, err
	}
	var addresses [3]string
	for i := range addresses {
		if addresses[i], err = harness.FreeAddress(ctx); err != nil {
			return nil, errors.Join(err, s.closed())
		}
	}
	ses := addresses[0]
	s.simulator = simulator{harness.Simulator{URL: "http://" + ses}}
	s.apis = []string{"http://" + addresses[1], "http://" + addresses[2]}
	s.actors = []*actor{{
		name: "simulator", url: s.simulator.URL + "/_sim/answers", sends: true,
		arguments: []string{
			"simulator", "--addr=" + ses, "--journal=" + filepath.Join(ground.Folder, "journal"),
			"--events-url=" + s.apis[0] + "/internal/ses/events", "--events-topic=" + topic, "--log-level=warn",
		},
	}}
	common := []string{
		"AWS_ENDPOINT_URL_SESV2=" + s.simulator.URL, "MAILSTACK_EVENTS_TOPICS=" + topic, "MAILSTACK_LOG_LEVEL=info",
	}
	for i, url := range s.apis {
		s.actors = append(s.actors, &actor{
			name: fmt.Sprintf("api-%d", i+1), url: url + "/healthz", arguments: []string{"serve", "--no-worker"},
			environment: append([]string{
				"MAILSTACK_ADDR=" + addresses[i+1], "MAILSTACK_RATE_LIMIT=0", "MAILSTACK_EVENTS_TRUSTED_HOST=" + ses,
			}, common...),
		})
	}
	for i := range 2 {
		s.actors = append(s.actors, &actor{
			name: fmt.Sprintf("worker-%d", i+1), sends: true, arguments: []string{"worker"}, environment: common,
		})
	}
	for _, one := range s.actors {
		if err := s.start(ctx, one); err != nil {
			return nil, errors.Join(err, s.closed())
		}
	}
	return s, nil
}

func (s *stage) closed() error {
	s.database.Close()
	return nil
}

// start returns when the process responds, or at once when it has no URL.
func (s *stage) start(ctx context.Context, one *actor) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		process, err := s.ground.Start(ctx, one.name, devdb.Database, one.environment, one.arguments...)
		if err != nil {
			return err
		}
		s.mutex.Lock()
		one.process = process
		s.mutex.Unlock()
		if one.url == "" {
			return nil
		}
		if err = process.Await(ctx, one.url); err == nil {
			return nil
		}
		process.Kill()
		if backoff.Sleep(ctx, look) != nil {
			return fmt.Errorf("start %s: %w", one.name, err)
		}
	}
}

// kill ends a process in the middle of its work. It fails for a process that has ended by itself.
func (s *stage) kill(ctx context.Context, one *actor) error {
	select {
	case <-one.process.Ended():
		return fmt.Errorf("%s ended by itself: %s", one.name, s.ground.LastWords(one.name))
	default:
	}
	if one.url == s.actors[0].url {
		s.noteAnswers(ctx)
	}
	open := int64(0)
	if one.sends {
		open = harness.Leases(ctx, s.database)
	}
	one.process.Kill()
	s.note(open)
	return nil
}

func (s *stage) note(open int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.kills++
	s.ambiguous += open
}

// noteAnswers adds up the simulator's counts, which are lost when it ends.
func (s *stage) noteAnswers(ctx context.Context) {
	counted, err := s.simulator.Answers(ctx)
	if err != nil {
		s.say("reading the simulator's counts failed: %v", err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.dropped += counted.Dropped
	s.ambiguous += counted.Dropped + counted.GivenUp
}

// unpublished bounds the events that wait in the simulated SES. The real SES reports within seconds, even after a
// machine of its own dies. The simulator loses its events when killed, so it must not fall behind.
const unpublished = 1_000

// behind reports whether too many messages wait to be sent, or too many events to be processed.
func (s *stage) behind(ctx context.Context, most int) bool {
	counted, err := s.simulator.Answers(ctx)
	if err == nil && counted.Unpublished > unpublished {
		return true
	}
	const both = `SELECT (SELECT count(*) FROM sends) + (SELECT count(*) FROM notifications WHERE due_at IS NOT NULL)`
	return harness.Count(ctx, s.database, both) > int64(most)
}

// killPostgres sends SIGKILL to all processes of Postgres.
func (s *stage) killPostgres(ctx context.Context) error {
	open := harness.Leases(ctx, s.database)
	if err := s.ground.Postgres.Kill(); err != nil {
		return err
	}
	s.note(open)
	return nil
}

// mend ends all faults. Every killed process has been started again by now.
func (s *stage) mend(ctx context.Context) error {
	for _, one := range s.actors {
		select {
		case <-one.process.Ended():
			return fmt.Errorf("%s ended by itself: %s", one.name, s.ground.LastWords(one.name))
		default:
		}
	}
	return s.simulator.clear(ctx)
}

// say prints a line of progress with the time since the start.
func (s *stage) say(format string, values ...any) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	// Progress is for people who watch; a failed write does not fail the run.
	_, _ = fmt.Fprintf(s.progress, "%6.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, values...))
}
