package ses_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func connect(t *testing.T, c ses.Config) *ses.Client {
	t.Helper()
	c.Region, c.StaticAccessKey, c.StaticSecretKey = "eu-central-1", "test", "a-secret-key"
	client, err := ses.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// simulate serves a simulated SES with the verified domain mail.test.
func simulate(t *testing.T) (*sessim.Simulator, string) {
	t.Helper()
	s, err := sessim.New(sessim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := connect(t, ses.Config{Endpoint: server.URL}).CreateIdentity(t.Context(), "mail.test"); err != nil {
		t.Fatal(err)
	}
	return s, server.URL
}

func message() ses.Message {
	return ses.Message{ID: uuid.New(), From: "a@mail.test", To: []string{"b@example.com"}, Subject: "s", Text: "t"}
}

func TestSendWithoutConfigurationSet(t *testing.T) {
	t.Parallel()
	s, url := simulate(t)
	client := connect(t, ses.Config{Endpoint: url})
	if err := client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := client.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	got := s.Messages()[0]
	if got.From != "a@mail.test" || got.ConfigurationSet != "" || got.HTML != "" || got.Text != "t" {
		t.Errorf("%+v", got)
	}
}

func TestUnknownConfigurationSetIsOurFault(t *testing.T) {
	t.Parallel()
	_, url := simulate(t)
	client := connect(t, ses.Config{Endpoint: url, ConfigurationSet: "internal-name"})
	_, err := client.Send(t.Context(), message())
	failure := failureOf(t, err, ses.Misconfigured)
	if strings.Contains(failure.Detail, "internal-name") || failure.Code != "NotFoundException" {
		t.Errorf("%+v", failure)
	}
}

func TestHeaderFieldsCannotBeExtended(t *testing.T) {
	t.Parallel()
	s, url := simulate(t)
	client := connect(t, ses.Config{Endpoint: url})
	m := message()
	m.FromName = "x\r\nBcc: victim@example.com"
	if _, err := client.Send(t.Context(), m); err == nil {
		if got := s.Messages()[0].From; strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q", got)
		}
	}
	m = message()
	m.To = []string{"Jörg <j@example.com>\r\nBcc: victim@example.com"}
	_, err := client.Send(t.Context(), m)
	wantFailure(t, err, ses.Rejected)
}

func TestRegionIsNeeded(t *testing.T) {
	t.Parallel()
	_, err := ses.New(t.Context(), ses.Config{StaticAccessKey: "a", StaticSecretKey: "b"})
	if err == nil || !strings.Contains(err.Error(), "region") {
		t.Error(err)
	}
	if got := connect(t, ses.Config{}).Region(); got != "eu-central-1" {
		t.Error(got)
	}
}

// awsWay sets the environment that AWS's own tools read, and hides the machine's own settings.
func awsWay(t *testing.T, values map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", nowhere)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, value := range values {
		t.Setenv(name, value)
	}
}

func TestConfigurationTheAWSWay(t *testing.T) {
	_, url := simulate(t)
	awsWay(t, map[string]string{
		"AWS_REGION": "ap-southeast-2", "AWS_ENDPOINT_URL_SESV2": url,
		"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
	})
	client, err := ses.New(t.Context(), ses.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if client.Region() != "ap-southeast-2" {
		t.Error(client.Region())
	}
	if _, err := client.Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

func TestStaticKeysReadNoAWSVariable(t *testing.T) {
	_, url := simulate(t)
	awsWay(t, map[string]string{
		"AWS_REGION": "ap-southeast-2", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SESV2": "http://127.0.0.1:1",
	})
	client := connect(t, ses.Config{Endpoint: url})
	if _, err := client.Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

func TestMissingCredentialsAreOurFault(t *testing.T) {
	_, url := simulate(t)
	awsWay(t, nil)
	client, err := ses.New(t.Context(), ses.Config{Region: "us-east-1", Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Send(t.Context(), message())
	wantFailure(t, err, ses.Misconfigured)
}

func TestQuotaCallIsRepeatedAndBounded(t *testing.T) {
	t.Parallel()
	calls := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	client := connect(t, ses.Config{Endpoint: server.URL})
	_, err := client.GetQuota(t.Context())
	wantFailure(t, err, ses.Ambiguous)
	if len(calls) != 3 {
		t.Error("calls:", len(calls))
	}
}

// A missing quota must not be read as a quota of zero or as an unlimited one.
func TestAnAccountWithoutAQuotaIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write([]byte(`{"SendingEnabled":true}`)); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	if quota, err := connect(t, ses.Config{Endpoint: server.URL}).GetQuota(t.Context()); err == nil {
		t.Errorf("the quota is %+v", quota)
	}
}

func TestTimeoutBoundsTheWholeCall(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	client := connect(t, ses.Config{Endpoint: server.URL, Timeout: time.Second})
	begin := time.Now()
	_, err := client.GetQuota(t.Context())
	wantFailure(t, err, ses.Ambiguous)
	if took := time.Since(begin); took > 20*time.Second {
		t.Error("took", took)
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	t.Parallel()
	_, url := simulate(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := connect(t, ses.Config{Endpoint: url}).Send(ctx, message())
	wantFailure(t, err, ses.Unreachable)
}
