package sessim

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	typeDomain  = "DOMAIN"
	typeAddress = "EMAIL_ADDRESS"

	useDefaultValue = "USE_DEFAULT_VALUE"
	rejectMessage   = "REJECT_MESSAGE"
)

// identity is a domain or an address of the account.
type identity struct {
	Name             string        `json:"name"`
	Type             string        `json:"type"`
	CreatedAt        time.Time     `json:"createdAt"`
	Verification     proof         `json:"verification"`
	MailFrom         string        `json:"mailFrom,omitempty"`
	MailFromBehavior string        `json:"mailFromBehavior,omitempty"`
	MailFromProof    proof         `json:"mailFromProof"`
	Tags             []resourceTag `json:"tags,omitempty"`
}

type resourceTag struct {
	Key   string
	Value string
}

// tokens returns the names of the DKIM records. SES draws them at random; here they derive from the domain, so that
// an account without a journal has the same ones after a restart.
func tokens(domain string) []string {
	out := make([]string, 3)
	for i := range out {
		seed := binary.BigEndian.AppendUint32([]byte("dkim token of "+domain), uint32(i))
		sum := sha256.Sum256(seed)
		// 20 bytes are 32 characters of [a-z2-7].
		out[i] = strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20]))
	}
	return out
}

// canonical returns the form under which an identity is stored: domains are case-insensitive, local parts are not.
func canonical(name string) string {
	local, domain, found := strings.Cut(name, "@")
	if !found {
		return strings.ToLower(name)
	}
	return local + "@" + strings.ToLower(domain)
}

func noIdentity(name string) error {
	return notFound(fmt.Sprintf("Email identity %s does not exist.", name))
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateEmailIdentity.html
func (s *Simulator) createIdentity(r *http.Request, body []byte) (any, error) {
	request, err := decode[struct {
		EmailIdentity string
		Tags          []resourceTag
	}](body)
	if err != nil {
		return nil, err
	}
	name := canonical(request.EmailIdentity)
	created := identity{Name: name, Type: typeDomain, CreatedAt: s.now().UTC(), Tags: request.Tags}
	if strings.Contains(name, "@") {
		created.Type = typeAddress
		if _, err := parseAddress("EmailIdentity", name); err != nil {
			return nil, err
		}
	} else if !isDomain(name) {
		return nil, badRequest("Invalid email identity.")
	}
	created.Verification = proof{Status: statusPending, Since: created.CreatedAt}
	s.mu.Lock()
	if _, ok := s.state.identities[name]; ok {
		s.mu.Unlock()
		return nil, alreadyExists(fmt.Sprintf("Email identity %s already exist.", name))
	}
	if full(len(s.state.identities), s.state.account.MaxIdentities, defaultMaxIdentities) {
		s.mu.Unlock()
		return nil, limitExceeded("The account has as many identities as it may have.")
	}
	err = s.commit(entry{At: created.CreatedAt, Identity: &created})
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	now, err := s.verify(r.Context(), name)
	if err != nil {
		return nil, err
	}
	answer := now.answer()
	return map[string]any{
		"IdentityType":             answer.IdentityType,
		"VerifiedForSendingStatus": answer.VerifiedForSendingStatus,
		"DkimAttributes":           answer.DkimAttributes,
	}, nil
}

func (s *Simulator) getIdentity(r *http.Request, _ []byte) (any, error) {
	found, err := s.verify(r.Context(), canonical(r.PathValue("name")))
	if err != nil {
		return nil, err
	}
	return found.answer(), nil
}

func (s *Simulator) deleteIdentity(r *http.Request, _ []byte) (any, error) {
	name := canonical(r.PathValue("name"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.state.identities[name]; !ok {
		return nil, noIdentity(name)
	}
	return empty{}, s.commit(entry{At: s.now().UTC(), IdentityDeleted: name})
}

// The wanted page is in the body: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListEmailIdentities.html
func (s *Simulator) listIdentities(_ *http.Request, body []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names, next, err := pageOfBody(body, slices.Collect(maps.Keys(s.state.identities)))
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, 0, len(names))
	for _, name := range names {
		i := s.state.identities[name]
		list = append(list, map[string]any{
			"IdentityType": i.Type, "IdentityName": i.Name,
			"SendingEnabled": i.Verification.ok(), "VerificationStatus": i.Verification.Status,
		})
	}
	return withNext(map[string]any{"EmailIdentities": list}, next), nil
}

func withNext(answer map[string]any, next string) map[string]any {
	if next != "" {
		answer["NextToken"] = next
	}
	return answer
}

func (s *Simulator) putMailFrom(r *http.Request, body []byte) (any, error) {
	name := canonical(r.PathValue("name"))
	request, err := decode[struct{ MailFromDomain, BehaviorOnMxFailure string }](body)
	if err != nil {
		return nil, err
	}
	mailFrom := strings.ToLower(request.MailFromDomain)
	behavior := request.BehaviorOnMxFailure
	if behavior == "" {
		behavior = useDefaultValue
	}
	if behavior != useDefaultValue && behavior != rejectMessage {
		return nil, badRequest("BehaviorOnMxFailure is invalid.")
	}
	// It must be a subdomain of the identity: mail to it goes to SES, and must not be taken from the domain's own
	// mailboxes.
	// https://docs.aws.amazon.com/ses/latest/dg/mail-from.html
	_, domain, isAddress := strings.Cut(name, "@")
	if !isAddress {
		domain = name
	}
	if mailFrom != "" && (!isDomain(mailFrom) || !strings.HasSuffix(mailFrom, "."+domain)) {
		return nil, badRequest(fmt.Sprintf("Provided MAIL-FROM domain <%s> is not subdomain of the domain of the identity <%s>.", mailFrom, name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, ok := s.state.identities[name]
	if !ok {
		return nil, noIdentity(name)
	}
	at := s.now().UTC()
	if changed.MailFrom != mailFrom || changed.MailFromProof.Status == statusFailed {
		changed.MailFromProof = proof{Status: statusPending, Since: at}
	}
	changed.MailFrom, changed.MailFromBehavior = mailFrom, behavior
	return empty{}, s.commit(entry{At: at, Identity: &changed})
}

// putDKIMSigning restarts Easy DKIM. Signing with the customer's own keys is not simulated.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_PutEmailIdentityDkimSigningAttributes.html
func (s *Simulator) putDKIMSigning(r *http.Request, body []byte) (any, error) {
	name := canonical(r.PathValue("name"))
	request, err := decode[struct{ SigningAttributesOrigin string }](body)
	if err != nil {
		return nil, err
	}
	if request.SigningAttributesOrigin != "AWS_SES" {
		return nil, badRequest("SigningAttributesOrigin is invalid.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	restarted, ok := s.state.identities[name]
	if !ok {
		return nil, noIdentity(name)
	}
	at := s.now().UTC()
	if !restarted.Verification.ok() {
		restarted.Verification = proof{Status: statusPending, Since: at}
		if err := s.commit(entry{At: at, Identity: &restarted}); err != nil {
			return nil, err
		}
	}
	return map[string]any{"DkimStatus": restarted.Verification.Status, "DkimTokens": tokens(name)}, nil
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetEmailIdentity.html
type identityAnswer struct {
	IdentityType             string
	FeedbackForwardingStatus bool
	VerifiedForSendingStatus bool
	VerificationStatus       string
	DkimAttributes           *dkimAnswer     `json:",omitempty"`
	MailFromAttributes       *mailFromAnswer `json:",omitempty"`
	Policies                 map[string]string
	Tags                     []resourceTag
}

type dkimAnswer struct {
	SigningEnabled          bool
	Status                  string
	Tokens                  []string
	SigningAttributesOrigin string
	NextSigningKeyLength    string
	CurrentSigningKeyLength string
}

type mailFromAnswer struct {
	MailFromDomain       string
	MailFromDomainStatus string
	BehaviorOnMxFailure  string
}

func (i *identity) answer() identityAnswer {
	a := identityAnswer{
		IdentityType:             i.Type,
		FeedbackForwardingStatus: true,
		VerifiedForSendingStatus: i.Verification.ok(),
		VerificationStatus:       i.Verification.Status,
		Policies:                 map[string]string{},
		Tags:                     append([]resourceTag{}, i.Tags...),
	}
	if i.Type == typeDomain {
		a.DkimAttributes = &dkimAnswer{
			SigningEnabled: true, Status: i.Verification.Status, Tokens: tokens(i.Name),
			SigningAttributesOrigin: "AWS_SES", NextSigningKeyLength: "RSA_2048_BIT", CurrentSigningKeyLength: "RSA_2048_BIT",
		}
	} else {
		a.DkimAttributes = &dkimAnswer{Status: "NOT_STARTED", Tokens: []string{}, SigningAttributesOrigin: "AWS_SES"}
		a.DkimAttributes.NextSigningKeyLength, a.DkimAttributes.CurrentSigningKeyLength = "RSA_2048_BIT", "RSA_2048_BIT"
	}
	if i.MailFrom != "" {
		a.MailFromAttributes = &mailFromAnswer{i.MailFrom, i.MailFromProof.Status, i.MailFromBehavior}
	}
	return a
}
