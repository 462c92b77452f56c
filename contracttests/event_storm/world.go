package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store"
)

const (
	processes = 2
	region    = "us-east-1"
	domainOf  = "mail.test"
	sender    = "hello@" + domainOf
	// certificatePath is the path of the simulated SNS's certificate.
	certificatePath = "/SimpleNotificationService-storm.pem"
)

// world holds everything that runs.
type world struct {
	folder    string
	postgres  *devdb.Server
	store     *store.Store
	simulator *sessim.Simulator
	amazon    *httptest.Server // SES and SNS
	topic     *topic
	names     *dns.Server
	receiver  *receiver
	servers   []*server
	client    *http.Client
	key       string
	closers   []func() error
}

// close ends everything that was started, in reverse order.
func (w *world) close() error {
	var failures []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		failures = append(failures, w.closers[i]())
	}
	return errors.Join(failures...)
}

func (w *world) onClose(closer func() error) { w.closers = append(w.closers, closer) }

// newWorld starts everything and registers the sending domain and the webhooks.
func newWorld(ctx context.Context) (_ *world, err error) {
	w := &world{client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: posters}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.folder, err = os.MkdirTemp("", "mailstack-storm-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	w.onClose(func() error { return os.RemoveAll(w.folder) })
	for _, start := range []func(context.Context) error{
		w.startPostgres, w.startAmazon, w.startDNS, w.startReceiver, w.startServers, w.registerDomain, w.registerWebhooks,
	} {
		if err := start(ctx); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *world) startPostgres(ctx context.Context) (err error) {
	w.postgres, err = devdb.Start(ctx, devdb.Options{DataDir: filepath.Join(w.folder, "postgres"), MaxConnections: 200})
	if err != nil {
		return err
	}
	w.onClose(w.postgres.Stop)
	w.store, err = store.Open(ctx, store.Config{URL: w.postgres.DSN(devdb.Database), MaxConns: 4, Name: "storm"})
	if err != nil {
		return err
	}
	w.onClose(func() error { w.store.Close(); return nil })
	return nil
}

// startAmazon serves the simulated SES, which reports no events by itself, and the certificate of the topic.
func (w *world) startAmazon(context.Context) (err error) {
	if w.topic, err = newTopic(); err != nil {
		return err
	}
	if w.simulator, err = sessim.New(sessim.Config{Region: region}); err != nil {
		return err
	}
	w.onClose(w.simulator.Close)
	mux := http.NewServeMux()
	mux.Handle("/", w.simulator)
	mux.HandleFunc("GET "+certificatePath, func(writer http.ResponseWriter, _ *http.Request) {
		_, _ = writer.Write(w.topic.certificate)
	})
	w.amazon = httptest.NewServer(mux)
	w.onClose(func() error { w.amazon.CloseClientConnections(); w.amazon.Close(); return nil })
	w.topic.signer.CertificateURL = w.amazon.URL + certificatePath
	return nil
}

func (w *world) startDNS(ctx context.Context) (err error) {
	w.names, err = dns.Serve(ctx, &domain.DevZone{Store: w.store, Region: region}, "", nil)
	if err != nil {
		return err
	}
	w.onClose(func() error { return w.names.Close(context.WithoutCancel(ctx)) })
	return nil
}

func (w *world) authority() string { return filepath.Join(w.folder, "authority.pem") }

func (w *world) startReceiver(context.Context) (err error) {
	if w.receiver, err = newReceiver(w.authority()); err != nil {
		return err
	}
	w.onClose(func() error { w.receiver.server.CloseClientConnections(); w.receiver.server.Close(); return nil })
	return nil
}

// environment returns the whole environment of the processes.
func (w *world) environment() ([]string, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make a secret key: %w", err)
	}
	return []string{
		"HOME=" + w.folder, "PATH=" + os.Getenv("PATH"), "SSL_CERT_FILE=" + w.authority(),
		"DATABASE_URL=" + w.postgres.DSN(devdb.Database), "MAILSTACK_ADDR=127.0.0.1:0", "MAILSTACK_ADMIN_ADDR=off", "MAILSTACK_LAME_DUCK=0",
		"MAILSTACK_SECRET_KEY=" + base64.StdEncoding.EncodeToString(secret),
		"AWS_REGION=" + region, "AWS_ENDPOINT_URL_SESV2=" + w.amazon.URL, "AWS_ACCESS_KEY_ID=storm", "AWS_SECRET_ACCESS_KEY=storm",
		"MAILSTACK_DNS_SERVER=" + w.names.Addr(), "MAILSTACK_RATE_LIMIT=0", "MAILSTACK_BOUNCE_PAUSE=0", "MAILSTACK_COMPLAINT_PAUSE=0",
		"MAILSTACK_WEBHOOK_PREFIXES=127.0.0.0/8",
		"MAILSTACK_EVENTS_TOPICS=" + topicARN, "MAILSTACK_EVENTS_TRUSTED_HOST=" + strings.TrimPrefix(w.amazon.URL, "http://"),
	}, nil
}

// startServers migrates, makes the organization and its key, and starts the processes.
func (w *world) startServers(ctx context.Context) error {
	binary := filepath.Join(w.folder, "mailstack")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/voostack/mailstack")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build mailstack: %w", err)
	}
	environment, err := w.environment()
	if err != nil {
		return err
	}
	for range processes {
		w.servers = append(w.servers, &server{binary: binary, environment: environment})
	}
	for _, arguments := range [][]string{
		{"migrate"},
		{"org", "create", "Storm"},
		{"billing", "set", "--org", "Storm", "--payment-method=true", "--no-cap"},
		{"key", "create", "--org", "Storm", "--name", "storm"},
	} {
		if w.key, err = w.servers[0].run(ctx, arguments...); err != nil {
			return err
		}
	}
	for _, one := range w.servers {
		if err := one.start(ctx); err != nil {
			return err
		}
		w.onClose(func() error { return one.Stop() })
	}
	return nil
}

func (w *world) registerDomain(ctx context.Context) error {
	var made struct{ ID, Status string }
	if err := w.call(ctx, w.servers[0], http.MethodPost, "/v1/domains", map[string]string{"domain": domainOf}, &made); err != nil {
		return err
	}
	for range 100 {
		if err := w.call(ctx, w.servers[0], http.MethodPost, "/v1/domains/"+made.ID+"/verify", nil, &made); err != nil {
			return err
		}
		if made.Status == "Verified" {
			return nil
		}
		if err := backoff.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the domain is not verified: " + made.Status)
}

// registerWebhooks subscribes several webhooks to all event types between them, so that no type waits for another.
func (w *world) registerWebhooks(ctx context.Context) error {
	for path, events := range hooks() {
		var made struct{ SigningSecret string }
		err := w.call(ctx, w.servers[0], http.MethodPost, "/v1/webhooks", map[string]any{"url": w.receiver.server.URL + path, "events": events}, &made)
		if err != nil {
			return err
		}
		if err := w.receiver.expect(path, made.SigningSecret); err != nil {
			return err
		}
	}
	return nil
}
