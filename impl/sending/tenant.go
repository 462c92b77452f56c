package sending

import (
	"context"
	"log/slog"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/sending/results"
	"github.com/voostack/mailstack/impl/ses"
)

// classifyTenant turns a refusal that may be about the organization's tenant into a result. It returns nil for any other
// error. Where a resource is not associated with the tenant, as when its identity was made anew at SES, the associations are
// made again, and the next attempt names no tenant: a fault of the account shows then. Where the tenant is paused, the
// message waits for the state of the tenant to be read; when several organizations are, it is the account.
func (s *Sender) classifyTenant(ctx context.Context, send db.SendClaimRow, err error) *results.Result {
	now := s.config.Now()
	switch ses.ClassOf(err) {
	case ses.Misconfigured, ses.NotFound:
		if s.attemptLogs.Allow("tenant", now) {
			code, requestID := awsRequestIDs(err)
			s.config.Log.WarnContext(ctx, "SES did not take a message through a tenant", slog.String("code", code),
				slog.String("aws_request_id", requestID), slog.String("organization_id", send.OrganizationID.String()))
		}
		if s.config.OnTenantRefused == nil {
			return nil
		}
		if err := s.config.OnTenantRefused(ctx, send.OrganizationID); err != nil {
			s.config.Log.WarnContext(ctx, "the associations of a tenant could not be reset", slog.Any("error", err))
			return nil
		}
	case ses.Paused:
		if s.pausedTenants.RejectedFor(send.OrganizationID, now) {
			return nil
		}
	default:
		return nil
	}
	return s.retryIn(backoff.Exponential(minHeldWait, maxHeldWait, send.Attempt, s.config.Random()))
}
