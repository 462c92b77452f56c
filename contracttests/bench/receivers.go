package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/voostack/mailstack/contracttests/harness"
)

const (
	// endpointTime is how long the measured endpoints take to answer.
	endpointTime = 30 * time.Millisecond
	// hosts is the number of hosts of endpoints.
	hosts = 100
)

// received is what endpoints got since they were last asked.
type received struct {
	// Answered counts deliveries; Hanging are those that wait for an answer now.
	Answered int64 `json:"answered"`
	Hanging  int64 `json:"hanging"`
	// Took are the times from the insertion of an event, which its payload holds, to its request, in ascending order.
	Took []time.Duration `json:"took"`
}

// receivers are the endpoints of webhooks: below /slow they answer after endpointTime, below /hangs never.
type receivers struct {
	mutex sync.Mutex
	got   received
}

// serveReceivers serves endpoints until ctx ends. where is the port, the address at which it tells what they got, and a file
// with the certificate and its key, separated by commas. The endpoints have a loopback address each, as they would have a
// host each.
func serveReceivers(ctx context.Context, where string) error {
	parts := strings.Split(where, ",")
	if len(parts) != 3 {
		return fmt.Errorf("%q is no port, address and file", where)
	}
	pair, err := tls.LoadX509KeyPair(parts[2], parts[2])
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	r := &receivers{}
	secured := &http.Server{
		Handler: http.HandlerFunc(r.receive), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		// Deliveries that are given up leave broken connections.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	plain := &http.Server{Handler: http.HandlerFunc(r.tell), ReadHeaderTimeout: time.Minute}
	unwatch := context.AfterFunc(ctx, func() {
		_ = secured.Close()
		_ = plain.Close()
	})
	defer unwatch()
	var serving errgroup.Group
	for i := range hosts {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", hostName(i)+":"+parts[0])
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		serving.Go(func() error { return secured.ServeTLS(listener, "", "") })
	}
	control, err := (&net.ListenConfig{}).Listen(ctx, "tcp", parts[1])
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	serving.Go(func() error { return plain.Serve(control) })
	if err := serving.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func hostName(i int) string { return "127.0.0." + strconv.Itoa(i+1) }

func (r *receivers) receive(w http.ResponseWriter, request *http.Request) {
	came := time.Now()
	var event struct{ At time.Time }
	if err := json.NewDecoder(request.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch {
	case strings.HasPrefix(request.URL.Path, "/hangs"):
		r.note(func(got *received) { got.Hanging++ })
		<-request.Context().Done()
		r.note(func(got *received) { got.Hanging-- })
		return
	case strings.HasPrefix(request.URL.Path, "/slow"):
		if wait(request.Context(), endpointTime) != nil {
			return
		}
		r.note(func(got *received) { got.Answered++ })
	default:
		r.note(func(got *received) {
			got.Answered++
			got.Took = append(got.Took, came.Sub(event.At))
		})
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receivers) note(what func(*received)) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	what(&r.got)
}

// tell answers with what the endpoints got, and forgets it after a POST.
func (r *receivers) tell(w http.ResponseWriter, request *http.Request) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	slices.Sort(r.got.Took)
	_ = json.NewEncoder(w).Encode(r.got)
	if request.Method == http.MethodPost {
		r.got = received{Hanging: r.got.Hanging}
	}
}

// certificate writes a certificate for all hosts and its key to a file, and returns its path.
func (w *world) certificate() (path string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true, IsCA: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for i := range hosts {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(hostName(i)))
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("write a key: %w", err)
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	both = append(both, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return w.file("receivers.pem", string(both))
}

// endpoints are receivers in a process of their own.
type endpoints struct {
	stop                   func() error
	port, control, trusted string
}

// url returns the URL of an endpoint.
func (e endpoints) url(path string, number int) string {
	return "https://" + hostName(number%hosts) + ":" + e.port + path + "/" + strconv.Itoa(number)
}

func (w *world) startReceivers(ctx context.Context, database string) (endpoints, error) {
	free, err := harness.FreeAddress(ctx)
	if err != nil {
		return endpoints{}, err
	}
	_, port, err := net.SplitHostPort(free)
	if err != nil {
		return endpoints{}, fmt.Errorf("find a free port: %w", err)
	}
	control, err := harness.FreeAddress(ctx)
	if err != nil {
		return endpoints{}, err
	}
	certificate, err := w.certificate()
	if err != nil {
		return endpoints{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return endpoints{}, fmt.Errorf("find this program: %w", err)
	}
	where := port + "," + control + "," + certificate
	process, err := w.harness.StartProgram(ctx, self, "receivers", database, nil, "-receivers", where)
	if err != nil {
		return endpoints{}, err
	}
	at := endpoints{stop: process.Stop, port: port, control: "http://" + control + "/", trusted: certificate}
	return at, process.Await(ctx, at.control)
}

// got returns what the endpoints got, and makes them forget it if forget is true.
func (e endpoints) got(ctx context.Context, forget bool) (got received, err error) {
	method := http.MethodGet
	if forget {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, e.control, http.NoBody)
	if err != nil {
		return got, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return got, fmt.Errorf("ask the receivers: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	return got, json.NewDecoder(response.Body).Decode(&got)
}
