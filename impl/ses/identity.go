package ses

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
)

// Identity is a domain (or address) in the SES account.
type Identity struct {
	Name string
	// DKIMTokens are the three names of the Easy DKIM records: <token>._domainkey.<domain> is a CNAME for
	// <token>.dkim.amazonses.com. They stay the same for a domain while its identity exists.
	DKIMTokens   []string
	DKIMVerified bool
	// DKIMFailed reports whether SES stopped looking for the records, having found none for 72 hours. RestartDKIM
	// makes it look again. https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html
	DKIMFailed         bool
	VerifiedForSending bool
	MailFromDomain     string // empty while none is set
	MailFromStatus     string // PENDING, SUCCESS, FAILED, TEMPORARY_FAILURE; empty while none is set
}

// CreateIdentity registers a domain with Easy DKIM. If the identity exists already, it returns that one and created
// is false.
func (c *Client) CreateIdentity(ctx context.Context, domain string) (identity Identity, created bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	out, err := c.admin.CreateEmailIdentity(ctx, &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(domain)})
	var exists *types.AlreadyExistsException
	if errors.As(err, &exists) {
		identity, err = c.GetIdentity(ctx, domain)
		return identity, false, err
	}
	if err != nil {
		return Identity{}, false, newError(ctx, "CreateEmailIdentity", a, err)
	}
	identity = Identity{Name: domain, VerifiedForSending: out.VerifiedForSendingStatus}
	identity.addDKIM(out.DkimAttributes)
	return identity, true, nil
}

// GetIdentity reads SES's state of a domain. ErrNotFound means that the account has no such identity.
func (c *Client) GetIdentity(ctx context.Context, domain string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	out, err := c.admin.GetEmailIdentity(ctx, &sesv2.GetEmailIdentityInput{EmailIdentity: aws.String(domain)})
	if err != nil {
		return Identity{}, newError(ctx, "GetEmailIdentity", a, err)
	}
	identity := Identity{Name: domain, VerifiedForSending: out.VerifiedForSendingStatus}
	identity.addDKIM(out.DkimAttributes)
	if m := out.MailFromAttributes; m != nil && aws.ToString(m.MailFromDomain) != "" {
		identity.MailFromDomain = *m.MailFromDomain
		identity.MailFromStatus = string(m.MailFromDomainStatus)
	}
	return identity, nil
}

// SetMailFrom sets the MAIL FROM domain of an identity. While its DNS records are missing, SES sends with its own
// domain instead of failing.
func (c *Client) SetMailFrom(ctx context.Context, domain, mailFrom string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	_, err := c.admin.PutEmailIdentityMailFromAttributes(ctx, &sesv2.PutEmailIdentityMailFromAttributesInput{
		EmailIdentity:       aws.String(domain),
		MailFromDomain:      aws.String(mailFrom),
		BehaviorOnMxFailure: types.BehaviorOnMxFailureUseDefaultValue,
	})
	if err != nil {
		return newError(ctx, "PutEmailIdentityMailFromAttributes", a, err)
	}
	return nil
}

// RestartDKIM makes SES look for the Easy DKIM records of an identity again, for another 72 hours.
func (c *Client) RestartDKIM(ctx context.Context, domain string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	_, err := c.admin.PutEmailIdentityDkimSigningAttributes(ctx, &sesv2.PutEmailIdentityDkimSigningAttributesInput{
		EmailIdentity:           aws.String(domain),
		SigningAttributesOrigin: types.DkimSigningAttributesOriginAwsSes,
	})
	if err != nil {
		return newError(ctx, "PutEmailIdentityDkimSigningAttributes", a, err)
	}
	return nil
}

// DeleteIdentity removes a domain from the account. An absent domain is no error.
func (c *Client) DeleteIdentity(ctx context.Context, domain string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	_, err := c.admin.DeleteEmailIdentity(ctx, &sesv2.DeleteEmailIdentityInput{EmailIdentity: aws.String(domain)})
	if err == nil {
		return nil
	}
	if failure := newError(ctx, "DeleteEmailIdentity", a, err); failure.Class != NotFound {
		return failure
	}
	return nil
}

func (i *Identity) addDKIM(d *types.DkimAttributes) {
	if d == nil {
		return
	}
	i.DKIMTokens = d.Tokens
	i.DKIMVerified = d.Status == types.DkimStatusSuccess
	i.DKIMFailed = d.Status == types.DkimStatusFailed
}
