package sessim

import (
	"context"
	"fmt"
	"time"

	"github.com/voostack/mailstack/impl/dns"
)

const (
	statusPending = "PENDING"
	statusSuccess = "SUCCESS"
	statusFailed  = "FAILED"

	// verifiedFor is how long a verified identity is not looked up again: otherwise every send of a benchmark would
	// query the DNS.
	verifiedFor   = 10 * time.Second
	lookupTimeout = 5 * time.Second
)

// proof is the verification state of an identity, or of its MAIL FROM domain.
type proof struct {
	Status     string    `json:"status,omitempty"`
	Since      time.Time `json:"since"`      // when SES began to look for the records
	VerifiedAt time.Time `json:"verifiedAt"` // when the records were last seen
}

func (p proof) ok() bool { return p.Status == statusSuccess }

// fresh reports whether p needs no lookup yet.
func (p proof) fresh(now time.Time) bool { return p.ok() && now.Sub(p.VerifiedAt) < verifiedFor }

// seen returns the proof after a lookup. Missing records are tolerated for lossGrace; a failed lookup changes
// nothing. After a failed verification SES stops looking until it is restarted.
// https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html
func (p proof) seen(present bool, err error, now time.Time, lossGrace time.Duration) proof {
	switch {
	case err != nil || p.Status == statusFailed:
	case present:
		p.Status, p.VerifiedAt = statusSuccess, now
	case p.ok() && now.Sub(p.VerifiedAt) >= lossGrace:
		p.Status = statusFailed
	case p.Status == statusPending && now.Sub(p.Since) >= verificationWindow:
		p.Status = statusFailed
	}
	return p
}

// settled reports whether sending needs no lookup: the identity was verified recently, and so was its MAIL FROM
// domain if it is required.
func (i *identity) settled(now time.Time) bool {
	return i.Verification.fresh(now) && (i.MailFromBehavior != rejectMessage || i.MailFrom == "" || i.MailFromProof.fresh(now))
}

// verify returns an identity after looking up what is not freshly verified.
func (s *Simulator) verify(ctx context.Context, name string) (identity, error) {
	s.mu.RLock()
	before, ok := s.state.identities[name]
	s.mu.RUnlock()
	if !ok {
		return identity{}, noIdentity(name)
	}
	now := s.now().UTC()
	if before.Verification.fresh(now) && (before.MailFrom == "" || before.MailFromProof.fresh(now)) {
		return before, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	verified, verifyErr := s.domainProven(ctx, before)
	mailFrom, mailFromErr := s.mailFromProven(ctx, before.MailFrom)

	s.mu.Lock()
	defer s.mu.Unlock()
	current, ok := s.state.identities[name]
	if !ok {
		return identity{}, noIdentity(name)
	}
	if !current.CreatedAt.Equal(before.CreatedAt) || current.MailFrom != before.MailFrom {
		return current, nil // changed meanwhile: the lookup was about its earlier state
	}
	after := current
	after.Verification = current.Verification.seen(verified, verifyErr, now, s.lossGrace)
	if current.MailFrom != "" {
		after.MailFromProof = current.MailFromProof.seen(mailFrom, mailFromErr, now, s.lossGrace)
	}
	if after.Verification.Status == current.Verification.Status && after.MailFromProof.Status == current.MailFromProof.Status {
		s.state.identities[name] = after // only times changed: not worth a journal line
		return after, nil
	}
	return after, s.commit(entry{At: now, Identity: &after})
}

// domainProven reports whether all DKIM records of a domain exist. An address always counts as verified: SES
// verifies it by a link in a mail, which no person could follow here.
func (s *Simulator) domainProven(ctx context.Context, i identity) (bool, error) {
	if i.Type == typeAddress || s.resolver == nil {
		return true, nil
	}
	for _, token := range tokens(i.Name) {
		observed, err := s.resolver.CNAME(ctx, token+"._domainkey."+i.Name)
		if err != nil {
			return false, fmt.Errorf("look up a DKIM record: %w", err)
		}
		if !dns.MatchCNAME(observed, token+".dkim.amazonses.com") {
			return false, nil
		}
	}
	return true, nil
}

// mailFromProven reports whether a MAIL FROM domain has the MX and SPF records that SES requires.
// https://docs.aws.amazon.com/ses/latest/dg/mail-from.html
func (s *Simulator) mailFromProven(ctx context.Context, domain string) (bool, error) {
	if domain == "" || s.resolver == nil {
		return true, nil
	}
	exchangers, err := s.resolver.MX(ctx, domain)
	if err != nil {
		return false, fmt.Errorf("look up the MAIL FROM exchanger: %w", err)
	}
	if !dns.MatchMX(exchangers, "10 feedback-smtp."+s.region+".amazonses.com") {
		return false, nil
	}
	texts, err := s.resolver.TXT(ctx, domain)
	if err != nil {
		return false, fmt.Errorf("look up the MAIL FROM policy: %w", err)
	}
	return dns.MatchSPF(texts, "amazonses.com"), nil
}
