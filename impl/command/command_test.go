package command_test

import (
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestHelpNamesWhatCanBeSet(t *testing.T) {
	t.Parallel()
	for arguments, wanted := range map[string][]string{
		"": {"dev", "serve", "worker", "migrate", "org", "key", "billing", "simulator", "AWS_REGION", "Exit codes"},
		"dev": {
			"$MAILSTACK_ADDR", "127.0.0.1:8080", "$MAILSTACK_DATA_DIR", "$MAILSTACK_RATE_LIMIT", "$MAILSTACK_LOG_LEVEL",
			"mail.test", "/dev/inbox",
		},
		"serve": {
			"--no-worker", "$DATABASE_URL", "$MAILSTACK_ADDR", "$MAILSTACK_SECRET_KEY", "$MAILSTACK_CONFIGURATION_SET",
			"$MAILSTACK_DNS_SERVER", "$MAILSTACK_RATE_LIMIT", "$MAILSTACK_SEND_CONCURRENCY", "$MAILSTACK_SENDERS", "$MAILSTACK_DATABASE_CONNECTIONS",
			"$MAILSTACK_CONTENT_RETENTION", "$MAILSTACK_MESSAGE_RETENTION", "$MAILSTACK_LOG_LEVEL",
			"$MAILSTACK_DRAIN_TIMEOUT", "SIGTERM", "$MAILSTACK_ADMIN_ADDR", "127.0.0.1:8081", "$MAILSTACK_MAX_BODY_BYTES", "$MAILSTACK_MAX_BODIES",
			"$MAILSTACK_MAX_CONNECTIONS", "$OTEL_EXPORTER_OTLP_ENDPOINT",
		},
		"worker":      {"$DATABASE_URL", "$MAILSTACK_SECRET_KEY", "$MAILSTACK_SENDERS", "127.0.0.1:8082"},
		"simulator":   {"127.0.0.1:8579", "--journal", "--max-per-second", "--max-24-hour", "--dns-server", "AWS_ENDPOINT_URL"},
		"doctor":      {"--from", "--wait", "success@simulator.amazonses.com", "$MAILSTACK_EVENTS_QUEUE"},
		"ses":         {"setup", "policy"},
		"ses setup":   {"--endpoint", "--queue", "--topic", "--tracking", "$MAILSTACK_CONFIGURATION_SET", "-dead"},
		"migrate":     {"$DATABASE_URL", "--json"},
		"org":         {"create", "list", "suspend", "resume"},
		"org create":  {"--json"},
		"key create":  {"--org", "--name", "--scope", "emails:send", "--expires-at", "--json"},
		"key revoke":  {"--org"},
		"billing set": {"--payment-method", "--cap-cents", "--no-cap", "--allowance", "--price-per-1k-cents", "next period", "at once"},
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := execute(t, append(strings.Fields(arguments), "--help")...)
			if code != 0 || stderr != "" {
				t.Fatalf("exit code %d, stderr %q", code, stderr)
			}
			for _, text := range wanted {
				if !strings.Contains(unwrap(stdout), text) {
					t.Errorf("the help does not name %q:\n%s", text, stdout)
				}
			}
		})
	}
}

// unwrap undoes the breaking of lines.
func unwrap(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestNoArgumentsPrintTheHelp(t *testing.T) {
	t.Parallel()
	stdout, _, code := execute(t)
	if code != 0 || !strings.Contains(stdout, "Commands:") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	stdout, _, code := execute(t, "--version")
	if code != 0 || !strings.HasPrefix(stdout, "mailstack ") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
}

const aKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func TestWrongUseIsExplainedAndStartsNothing(t *testing.T) {
	t.Parallel()
	serve := func(more ...string) []string {
		return append([]string{"serve", "--addr=127.0.0.1:0", "--database-url=postgres://nobody@127.0.0.1:1/none"}, more...)
	}
	for name, test := range map[string]struct {
		arguments []string
		says      string
	}{
		"unknown command":       {[]string{"fly"}, "fly"},
		"unknown flag":          {[]string{"dev", "--fast"}, "--fast"},
		"no secret key":         {serve(), "MAILSTACK_SECRET_KEY"},
		"worker, no secret key": {[]string{"worker", "--database-url=postgres:///x"}, "MAILSTACK_SECRET_KEY"},
		"short secret key":      {serve("--secret-key=" + aKey[2:]), "32 bytes"},
		"one good secret key":   {serve("--secret-key=" + aKey + ",nonsense"), "32 bytes"},
		"no database":           {[]string{"serve", "--secret-key=" + aKey}, "DATABASE_URL"},
		"one connection":        {serve("--secret-key="+aKey, "--database-connections=1"), "MAILSTACK_DATABASE_CONNECTIONS"},
		"queue, not a URL":      {serve("--secret-key="+aKey, "--events-queue=events"), "MAILSTACK_EVENTS_QUEUE"},
		"bodies that go first":  {serve("--secret-key="+aKey, "--content-retention=71h"), "MAILSTACK_CONTENT_RETENTION"},
		"no senders":            {serve("--secret-key="+aKey, "--senders=0"), "MAILSTACK_SEND_CONCURRENCY"},
		"negative rate":         {serve("--secret-key="+aKey, "--rate-limit=-1"), "MAILSTACK_RATE_LIMIT"},
		"no room for a batch":   {serve("--secret-key="+aKey, "--max-bodies=20971520"), "MAILSTACK_MAX_BODY_BYTES"},
		"no connections":        {serve("--secret-key="+aKey, "--max-connections=0"), "MAILSTACK_MAX_CONNECTIONS"},
		"unknown exporter":      {serve("--secret-key="+aKey, "--traces-exporter=zipkin"), "OTEL_TRACES_EXPORTER"},
		"receiver without URL":  {serve("--secret-key="+aKey, "--otlp-endpoint=localhost:4318"), "OTEL_EXPORTER_OTLP_ENDPOINT"},
		"no drain":              {serve("--secret-key="+aKey, "--drain-timeout=0s"), "MAILSTACK_DRAIN_TIMEOUT"},
		"short retention":       {serve("--secret-key="+aKey, "--content-retention=0d"), "30d"},
		"nonsense retention":    {serve("--secret-key="+aKey, "--content-retention=-3d"), "30d"},
		"bodies outlive":        {serve("--secret-key="+aKey, "--content-retention=500d"), "MAILSTACK_CONTENT_RETENTION"},
		"nothing to set":        {[]string{"billing", "set", "--org=x"}, "nothing to set"},
		"cap and no cap":        {[]string{"billing", "set", "--org=x", "--cap-cents=1", "--no-cap"}, "--no-cap"},
		"negative cap":          {[]string{"billing", "set", "--org=x", "--cap-cents=-1"}, "--cap-cents"},
		"unknown scope":         {[]string{"key", "create", "--org=x", "--name=y", "--scope=emails:burn"}, "emails:burn"},
		"expired":               {[]string{"key", "create", "--org=x", "--name=y", "--expires-at=2001-01-01T00:00:00Z"}, "--expires-at"},
		"blank name":            {[]string{"org", "create", " "}, "blank"},
		"long name":             {[]string{"org", "create", strings.Repeat("é", 101)}, "100"},
		"control character":     {[]string{"org", "create", "a\nb"}, "name"},
		"name like an id":       {[]string{"org", "create", "0197b2c4-7c32-7e6b-9f40-3b2c1d0e9f80"}, "id"},
		"no database to manage": {[]string{"org", "list", "--data-dir=" + t.TempDir()}, "mailstack dev"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := execute(t, test.arguments...)
			if code != 2 || stdout != "" || !strings.Contains(stderr, test.says) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want 2 and %q", code, stdout, stderr, test.says)
			}
			if strings.Contains(stderr, aKey[2:]) {
				t.Error("the error shows a key")
			}
		})
	}
}

func TestServeAndWorkerRefuseAnOldSchema(t *testing.T) {
	t.Parallel()
	url := storetest.EmptyURL(t)
	refuse := func(arguments ...string) {
		t.Helper()
		refused := launch(t, []string{"AWS_REGION=eu-west-1", "DATABASE_URL=" + url, "MAILSTACK_SECRET_KEY=" + aKey}, arguments...)
		refused.exits(1)
		if !strings.Contains(refused.stderr.String(), "mailstack migrate") {
			t.Errorf("%v: %s", arguments, refused.stderr.String())
		}
	}
	refuse("serve", "--addr=127.0.0.1:0", "--admin-addr=off")
	refuse("worker", "--admin-addr=off")
	if _, stderr, code := execute(t, "org", "list", "--database-url="+url); code != 1 || !strings.Contains(stderr, "mailstack migrate") {
		t.Errorf("org list: exit code %d: %s", code, stderr)
	}

	var migrated struct {
		SchemaVersion int64 `json:"schemaVersion"`
	}
	succeed(t, &migrated, "migrate", "--json", "--database-url="+url)
	if migrated.SchemaVersion < 1 {
		t.Errorf("schema version %d after migrating", migrated.SchemaVersion)
	}
	succeed(t, &[]any{}, "org", "list", "--json", "--database-url="+url)
}
