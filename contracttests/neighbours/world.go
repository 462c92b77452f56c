package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/store"
)

const (
	topic = "arn:aws:sns:us-east-1:000000000000:mailstack"
	// plenty is an allowance that no run uses up.
	plenty = 1 << 40
	// accountRate is what the simulated SES account may send, in recipients a second. Sending them, and storing and passing on
	// their events, must leave processor time for the attacks, which are about other things.
	accountRate = 100
)

// world holds everything that runs.
type world struct {
	harness   *harness.Harness
	store     *store.Store
	simulator harness.Simulator
	names     *dns.Server
	receiver  *httptest.Server
	server    *harness.Process
	address   string
	quiet     *quiet
}

func newWorld(ctx context.Context) (_ *world, err error) {
	ground, err := harness.New(ctx, 100)
	if err != nil {
		return nil, err
	}
	w := &world{harness: ground}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.store, err = ground.Database(ctx, devdb.Database); err != nil {
		return nil, err
	}
	if w.names, err = dns.Serve(ctx, &domain.DevZone{Store: w.store, Region: "us-east-1"}, "", nil); err != nil {
		return nil, err
	}
	w.quiet = newQuiet()
	w.receiver = serveTLS(w.quiet)
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	tenant, err := newTenant(ctx, w.store, w.simulator)
	if err != nil {
		return nil, err
	}
	return w, w.quiet.settle(ctx, w.address, tenant, w.receiver.URL)
}

// start starts the simulator and the server, with the settings that an operator has who sets none.
func (w *world) start(ctx context.Context) error {
	ses, err := harness.FreeAddress(ctx)
	if err != nil {
		return err
	}
	if w.address, err = harness.FreeAddress(ctx); err != nil {
		return err
	}
	w.simulator = harness.Simulator{URL: "http://" + ses}
	simulator, err := w.harness.Start(ctx, "simulator", devdb.Database, nil, "simulator", "--addr="+ses, "--log-level=warn",
		"--max-per-second="+strconv.Itoa(accountRate), "--deliver-all", "--signing-key-bits=1024",
		"--events-url=http://"+w.address+"/internal/ses/events", "--events-topic="+topic)
	if err != nil {
		return err
	}
	if err := simulator.Await(ctx, w.simulator.URL+"/_sim/answers"); err != nil {
		return err
	}
	authority := filepath.Join(w.harness.Folder, "authority.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.receiver.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		return fmt.Errorf("write the certificate of the receivers: %w", err)
	}
	w.server, err = w.harness.Start(ctx, "server", devdb.Database, []string{
		"MAILSTACK_ADDR=" + w.address, "MAILSTACK_LOG_LEVEL=warn", "SSL_CERT_FILE=" + authority, "MAILSTACK_WEBHOOK_PREFIXES=127.0.0.0/8",
		"AWS_ENDPOINT_URL_SESV2=" + w.simulator.URL, "MAILSTACK_DNS_SERVER=" + w.names.Addr(),
		"MAILSTACK_EVENTS_TOPICS=" + topic, "MAILSTACK_EVENTS_TRUSTED_HOST=" + ses,
	}, "serve")
	if err != nil {
		return err
	}
	return w.server.Await(ctx, "http://"+w.address+"/readyz")
}

func (w *world) close() error {
	failures := []error{w.harness.Close()}
	if w.receiver != nil {
		w.receiver.CloseClientConnections()
		w.receiver.Close()
	}
	if w.names != nil {
		failures = append(failures, w.names.Close(context.Background()))
	}
	if w.store != nil {
		w.store.Close()
	}
	return errors.Join(failures...)
}

// newTenant makes an organization whose domain SES knows.
func newTenant(ctx context.Context, database *store.Store, simulator harness.Simulator) (harness.Tenant, error) {
	tenant, err := harness.NewTenant(ctx, database, plenty)
	if err != nil {
		return tenant, err
	}
	return tenant, simulator.Register(ctx, tenant.Domain)
}

// attacking is a process that attacks.
type attacking struct {
	process *harness.Process
	output  *bytes.Buffer
}

// attackWith starts the attacks and returns when they have begun.
func (w *world) attackWith(ctx context.Context, names []string) (*attacking, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	target, err := json.Marshal(target{Address: w.address, Database: w.harness.Postgres.DSN(devdb.Database), Simulator: w.simulator.URL})
	if err != nil {
		return nil, fmt.Errorf("write the target: %w", err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	begun := &attacking{output: &bytes.Buffer{}}
	begun.process, err = harness.Launch(ctx, harness.Command{
		Name: "attackers", Program: self, Arguments: []string{"-attack", strings.Join(names, ",")},
		Environment: append(os.Environ(), targetVariable+"="+string(target)), Stdout: writer, Stderr: os.Stderr, OnEnd: writer.Close,
	})
	if err != nil {
		return nil, errors.Join(err, reader.Close(), writer.Close())
	}
	context.AfterFunc(ctx, begun.process.Kill)
	// The first line says that the attacks have begun, the rest what became of them.
	lines := bufio.NewReader(reader)
	if _, err := lines.ReadString('\n'); err != nil {
		return nil, errors.Join(errors.New("the attackers did not begin"), reader.Close())
	}
	go func() { _, _ = lines.WriteTo(begun.output) }()
	return begun, nil
}

// end stops the attacks, and returns what the attackers got.
func (a *attacking) end() string {
	if err := a.process.Stop(); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(a.output.String())
}

// cleanUp removes the work that attackers leave behind, so that it does not count for the next attack, except what the server
// has in hand.
func (w *world) cleanUp(ctx context.Context) error {
	for _, table := range []string{"sends", "deliveries"} {
		free := "SELECT ctid FROM " + table + " WHERE organization_id <> $1 FOR UPDATE SKIP LOCKED"
		if _, err := w.store.Pool().Exec(ctx, "DELETE FROM "+table+" WHERE ctid = ANY (ARRAY("+free+"))", w.quiet.tenant.ID); err != nil {
			return fmt.Errorf("remove the attackers' %s: %w", table, err)
		}
	}
	return nil
}

// resetPeak has the kernel count the server's peak memory anew (proc(5), clear_refs).
func (w *world) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.server.PID), []byte("5"), 0)
}

// peak returns the server's peak memory in bytes.
func (w *world) peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.server.PID))
	if err != nil {
		return 0, fmt.Errorf("read the memory of the server: %w", err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0, errors.New("the kernel does not tell the memory of the server")
	}
	kibibytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	return kibibytes << 10, err
}

// settleTime is how long the quiet organization waits for webhooks after its last message.
const settleTime = 15 * time.Second
