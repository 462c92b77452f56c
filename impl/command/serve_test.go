package command_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// production is the environment of a process in production: SES, the DNS, a database, a customer.
type production struct {
	simulator   *sessim.Simulator
	zone        *dns.StaticZone
	database    string
	environment []string
	key         string
}

func newProduction(t *testing.T) *production {
	t.Helper()
	p := &production{zone: dns.NewStaticZone(), database: storetest.EmptyURL(t)}
	var err error
	if p.simulator, err = sessim.New(sessim.Config{Region: "eu-west-1"}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p.simulator)
	t.Cleanup(server.Close)
	t.Cleanup(p.simulator.ClearFaults)
	names, err := dns.Serve(t.Context(), p.zone, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = names.Close(t.Context()) })
	p.environment = environmentOf(p.database, server.URL, names.Addr())

	succeed(t, nil, "migrate", "--database-url="+p.database)
	succeed(t, nil, "org", "create", "Acme", "--database-url="+p.database)
	stdout, stderr, code := execute(t, "key", "create", "--org=Acme", "--name=all", "--database-url="+p.database)
	if code != 0 {
		t.Fatal(stderr)
	}
	p.key = strings.TrimSpace(stdout)
	return p
}

func environmentOf(database, ses, names string) []string {
	return []string{
		"DATABASE_URL=" + database,
		"MAILSTACK_SECRET_KEY=" + aKey,
		"MAILSTACK_ADDR=127.0.0.1:0",
		"MAILSTACK_ADMIN_ADDR=off",
		"MAILSTACK_DNS_SERVER=" + names,
		"MAILSTACK_DATABASE_CONNECTIONS=4",
		"AWS_REGION=eu-west-1",
		"AWS_ENDPOINT_URL=" + ses,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
	}
}

// serve starts the API and returns its client.
func (p *production) serve(t *testing.T, arguments ...string) (*running, client) {
	t.Helper()
	serving := launch(t, p.environment, append([]string{"serve"}, arguments...)...)
	return serving, client{url: "http://" + serving.logged("serving", "address"), key: p.key}
}

// verify registers a domain, publishes its records and verifies it.
func (p *production) verify(t *testing.T, c client, name string) {
	t.Helper()
	var registered struct {
		ID         string `json:"id"`
		Status     string `json:"status"`
		DNSRecords []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"dnsRecords"`
	}
	if status := c.do(t, http.MethodPost, "/v1/domains", `{"domain":"`+name+`"}`, &registered); status != http.StatusCreated {
		t.Fatalf("register a domain: %d", status)
	}
	for _, record := range registered.DNSRecords {
		p.zone.Set(dns.Record{Name: record.Name, Type: record.Type, Value: record.Value, TTL: 60})
	}
	eventually(t, "the domain is verified", func() bool {
		c.do(t, http.MethodPost, "/v1/domains/"+registered.ID+"/verify", "", &registered)
		return registered.Status == "Verified"
	})
}

func TestServeSendsAndDrains(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	serving, c := p.serve(t)
	p.verify(t, c, "acme.example")
	c.awaitSent(t, c.send(t, "hello@acme.example"))
	if got := p.simulator.Messages(); len(got) != 1 || got[0].ConfigurationSet != "mailstack" {
		t.Errorf("SES got %+v", got)
	}
	if region := serving.logged("Amazon SES answers", "region"); region != "eu-west-1" {
		t.Errorf("region %q", region)
	}

	// A message in flight when the signal arrives is finished and stored.
	p.simulator.SetFaults(sessim.Faults{DelayMs: 5000}) // a slow machine has noticed it by then
	slow := c.send(t, "hello@acme.example")
	s := storetest.Open(t, p.database)
	eventually(t, "the email is being sent", func() bool {
		var leased bool
		err := s.Pool().QueryRow(t.Context(), "SELECT count(*) = 1 FROM sends WHERE leased_until IS NOT NULL").Scan(&leased)
		return err == nil && leased
	})
	serving.stops()
	var sent bool
	if err := s.Pool().QueryRow(t.Context(),
		"SELECT provider_message_id IS NOT NULL AND NOT EXISTS (SELECT FROM sends) FROM emails WHERE id = $1", slow).Scan(&sent); err != nil {
		t.Fatal(err)
	}
	if !sent {
		t.Error("the outcome of what was being sent is not stored")
	}
	if strings.Contains(serving.stderr.String(), "hello@") || strings.Contains(serving.stderr.String(), p.key) {
		t.Error("the log holds an address or a key")
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	serving, c := p.serve(t)
	p.verify(t, c, "acme.example")
	p.simulator.SetFaults(sessim.Faults{Hang: -1})
	c.send(t, "hello@acme.example")
	s := storetest.Open(t, p.database)
	eventually(t, "the email is being sent", func() bool {
		var leased bool
		err := s.Pool().QueryRow(t.Context(), "SELECT count(*) = 1 FROM sends WHERE leased_until IS NOT NULL").Scan(&leased)
		return err == nil && leased
	})
	started := time.Now()
	eventually(t, "the process ends", func() bool {
		_ = serving.command.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-serving.ended:
			return true
		default:
			return false
		}
	})
	status, ok := serving.command.ProcessState.Sys().(syscall.WaitStatus)
	if took := time.Since(started); !ok || status.Signal() != syscall.SIGTERM || took > 15*time.Second {
		t.Errorf("ended as %s after %s", serving.command.ProcessState, took)
	}
}

func TestServeAndWorkerApart(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	api, c := p.serve(t, "--no-worker")
	p.verify(t, c, "acme.example")
	id := c.send(t, "hello@acme.example")
	var email struct {
		Status string `json:"status"`
	}
	if c.do(t, http.MethodGet, "/v1/emails/"+id, "", &email); email.Status != "Queued" {
		t.Errorf("without a worker the email is %s", email.Status)
	}
	worker := launch(t, p.environment, "worker")
	c.awaitSent(t, id)
	api.stops()
	worker.stops()
}

func TestServeOutlivesPostgres(t *testing.T) {
	t.Parallel()
	postgres := storetest.Server(t)
	if err := postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	p := &production{environment: environmentOf(postgres.DSN(devdb.Database), "http://127.0.0.1:1", "127.0.0.1:1")}
	serving, c := p.serve(t)
	expect := func(path string, want int) {
		t.Helper()
		eventually(t, path, func() bool {
			serving.alive()
			return c.do(t, http.MethodGet, path, "", nil) == want
		})
	}
	c.key = "ms_live_abcdefgh_" + strings.Repeat("A", 43)
	for range 2 {
		expect("/readyz", http.StatusServiceUnavailable)
		expect("/healthz", http.StatusOK)
		expect("/v1/domains", http.StatusServiceUnavailable)
		if err := postgres.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect("/readyz", http.StatusOK)
		expect("/v1/domains", http.StatusUnauthorized)
		if err := postgres.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	serving.stops()
}

func TestServeEndsWhenPostgresComesBackWithAnOldSchema(t *testing.T) {
	t.Parallel()
	postgres := storetest.Server(t)
	s := storetest.Open(t, postgres.DSN(devdb.Database))
	if _, err := s.Pool().Exec(t.Context(), "DELETE FROM goose_db_version WHERE version_id > 1"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	p := &production{environment: environmentOf(postgres.DSN(devdb.Database), "http://127.0.0.1:1", "127.0.0.1:1")}
	serving, _ := p.serve(t)
	if err := postgres.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving.exits(1)
	if !strings.Contains(serving.stderr.String(), "mailstack migrate") {
		t.Error("it does not say what to do")
	}
}

func TestServeStopsWhileItWaitsForPostgres(t *testing.T) {
	t.Parallel()
	p := &production{environment: environmentOf("postgres://nobody@127.0.0.1:1/none", "http://127.0.0.1:1", "127.0.0.1:1")}
	serving, c := p.serve(t)
	if status := c.do(t, http.MethodGet, "/readyz", "", nil); status != http.StatusServiceUnavailable {
		t.Errorf("without a database /readyz is %d", status)
	}
	serving.stops()
}

func TestServeSaysThatItsPortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, stderr, code := execute(t, "serve", "--addr="+taken.Addr().String(), "--secret-key="+aKey, "--database-url=postgres:///x")
	if code != 1 || !strings.Contains(stderr, "MAILSTACK_ADDR") || !strings.Contains(stderr, taken.Addr().String()) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestSimulatorAlone(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	for _, isNew := range []bool{true, false} {
		simulator := launch(t, []string{"MAILSTACK_SIMULATOR_ADDR=127.0.0.1:0"}, "simulator", "--journal="+journal, "--max-per-second=5")
		c := client{url: simulator.logged("simulating Amazon SES", "url")}
		account, err := ses.New(t.Context(), ses.Config{
			Region: "us-east-1", Endpoint: c.url, StaticAccessKey: "test", StaticSecretKey: "test",
		})
		if err != nil {
			t.Fatal(err)
		}
		// On the second start the identity is there already.
		identity, created, err := account.CreateIdentity(t.Context(), "acme.example")
		if err != nil || created != isNew || !identity.VerifiedForSending {
			t.Errorf("create an identity: %+v, new: %t, %v; want %t", identity, created, err, isNew)
		}
		quota, err := account.GetQuota(t.Context())
		if err != nil || quota.MaxPerSecond != 5 {
			t.Errorf("quota %+v: %v", quota, err)
		}
		for _, path := range []string{"/dev/inbox", "/dev/inbox.json"} {
			if status := c.do(t, http.MethodGet, path, "", nil); status != http.StatusOK {
				t.Errorf("%s: %d", path, status)
			}
		}
		simulator.stops()
	}
}
