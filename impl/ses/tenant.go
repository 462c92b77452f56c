package ses

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/google/uuid"
)

// tenantPrefix begins the names of the tenants that are ours.
const tenantPrefix = "org-"

// TenantName returns the name of an organization's tenant.
func TenantName(organization uuid.UUID) string { return tenantPrefix + organization.String() }

// Tenant is a part of the SES account with a reputation of its own, which SES can stop without stopping the account.
// https://docs.aws.amazon.com/ses/latest/dg/tenants.html
type Tenant struct {
	Name, ARN string
	// Disabled means that SES lets nothing be sent through it.
	Disabled bool
}

// Organization returns the organization whose tenant it is, and whether it is one of ours.
func (t Tenant) Organization() (uuid.UUID, bool) {
	id, found := strings.CutPrefix(t.Name, tenantPrefix)
	organization, err := uuid.Parse(id)
	return organization, found && err == nil
}

// ConfigurationSetName returns the configuration set of every send.
func (c *Client) ConfigurationSetName() string { return c.configurationSet }

// EnsureTenant returns a tenant, and creates it if there is none.
func (c *Client) EnsureTenant(ctx context.Context, name string) (Tenant, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	created, err := c.admin.CreateTenant(ctx, &sesv2.CreateTenantInput{TenantName: aws.String(name)})
	if err == nil {
		return tenantOf(created.TenantName, created.TenantArn, created.SendingStatus), nil
	}
	var exists *types.AlreadyExistsException
	if !errors.As(err, &exists) {
		return Tenant{}, newError(ctx, "CreateTenant", a, err)
	}
	found, err := c.admin.GetTenant(ctx, &sesv2.GetTenantInput{TenantName: aws.String(name)})
	if err != nil {
		return Tenant{}, newError(ctx, "GetTenant", a, err)
	}
	if found.Tenant == nil {
		return Tenant{}, errors.New("GetTenant: the answer holds no tenant")
	}
	return tenantOf(found.Tenant.TenantName, found.Tenant.TenantArn, found.Tenant.SendingStatus), nil
}

func tenantOf(name, arn *string, status types.SendingStatus) Tenant {
	return Tenant{Name: aws.ToString(name), ARN: aws.ToString(arn), Disabled: status == types.SendingStatusDisabled}
}

// ListTenants returns the tenants of the account.
func (c *Client) ListTenants(ctx context.Context) ([]Tenant, error) {
	var found []Tenant
	for input, more := (&sesv2.ListTenantsInput{}), true; more; {
		page, err := c.listTenants(ctx, input)
		if err != nil {
			return nil, err
		}
		for _, one := range page.Tenants {
			found = append(found, tenantOf(one.TenantName, one.TenantArn, one.SendingStatus))
		}
		input.NextToken, more = page.NextToken, aws.ToString(page.NextToken) != ""
	}
	return found, nil
}

func (c *Client) listTenants(ctx context.Context, input *sesv2.ListTenantsInput) (*sesv2.ListTenantsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	page, err := c.admin.ListTenants(ctx, input)
	if err != nil {
		return nil, newError(ctx, "ListTenants", a, err)
	}
	return page, nil
}

// AssociateIdentity lets a tenant send from an identity of the account.
func (c *Client) AssociateIdentity(ctx context.Context, tenant Tenant, identity string) error {
	return c.associate(ctx, tenant, "identity/"+identity)
}

// AssociateConfigurationSet lets a tenant send with the configured configuration set.
func (c *Client) AssociateConfigurationSet(ctx context.Context, tenant Tenant) error {
	if c.configurationSet == "" {
		return nil
	}
	return c.associate(ctx, tenant, "configuration-set/"+c.configurationSet)
}

// associate associates a resource, which is in the account, region and partition of the tenant. An association that exists
// is no error.
func (c *Client) associate(ctx context.Context, tenant Tenant, resource string) error {
	account, _, found := strings.Cut(tenant.ARN, ":tenant/")
	if !found {
		return fmt.Errorf("the ARN of tenant %s is not the ARN of a tenant", tenant.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	_, err := c.admin.CreateTenantResourceAssociation(ctx, &sesv2.CreateTenantResourceAssociationInput{
		TenantName: aws.String(tenant.Name), ResourceArn: aws.String(account + ":" + resource),
	})
	var exists *types.AlreadyExistsException
	if err != nil && !errors.As(err, &exists) {
		return newError(ctx, "CreateTenantResourceAssociation", a, err)
	}
	return nil
}
