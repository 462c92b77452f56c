package components

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
)

const maxSESRetry = time.Minute

// CheckSES returns a function that creates the configuration set and logs the quota of the account, and retries until
// both succeed. Otherwise wrong credentials, a missing permission and the sandbox would show only as mail that is never
// sent.
func CheckSES(client *ses.Client, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for wait := time.Second; ; wait = min(2*wait, maxSESRetry) {
			quota, err := prepareSES(ctx, client)
			if err == nil {
				reportQuota(ctx, quota, client.Region(), log)
				return nil
			}
			if ctx.Err() == nil {
				log.ErrorContext(ctx, "checking Amazon SES failed", slog.Any("error", err),
					slog.String("class", string(ses.ClassOf(err))), slog.String("retry_in", wait.String()))
			}
			if backoff.Sleep(ctx, wait) != nil {
				return nil //nolint:nilerr // the context ended, and with it the work
			}
		}
	}
}

func prepareSES(ctx context.Context, client *ses.Client) (ses.Quota, error) {
	if err := client.EnsureConfigurationSet(ctx); err != nil {
		return ses.Quota{}, err
	}
	return client.GetQuota(ctx)
}

func reportQuota(ctx context.Context, quota ses.Quota, region string, log *slog.Logger) {
	log.InfoContext(ctx, "Amazon SES answers", slog.String("region", region),
		slog.Float64("max_24_hour", quota.Max24Hour), slog.Float64("max_per_second", quota.MaxPerSecond))
	if !quota.SendingEnabled {
		log.WarnContext(ctx, "sending is disabled for the SES account", slog.String("enforcement", quota.EnforcementStatus))
	}
	if !quota.ProductionAccess {
		log.WarnContext(ctx, "the SES account is in the sandbox: it sends to verified recipients only; ask AWS for production access")
	}
}

// CheckDNS returns a function that logs a warning if the resolver does not answer: no domain can be verified then.
func CheckDNS(resolver *dns.Resolver, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if err := resolver.Check(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the DNS resolver does not answer: domains cannot be verified", slog.Any("error", err))
		}
		return nil
	}
}

// AWSClients returns the client of SES, and the client of the services that carry its events.
func AWSClients(ctx context.Context, account SESFlags) (*ses.Client, *awsevents.Client, error) {
	config := ses.Config{ConfigurationSet: account.ConfigurationSet, Timeout: SendTimeout, Log: slog.New(slog.DiscardHandler)}
	mail, err := ses.New(ctx, config)
	if err != nil {
		return nil, nil, fmt.Errorf("set up Amazon SES: %w", err)
	}
	client, err := awsevents.New(ctx, config)
	return mail, client, err
}
