package sessim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/snssim"
)

const (
	statusEnabled  = "ENABLED"
	statusDisabled = "DISABLED"
)

// tenant is a part of the account with a reputation of its own.
// https://docs.aws.amazon.com/ses/latest/dg/tenants.html
type tenant struct {
	Name      string        `json:"name"`
	ID        string        `json:"id"`
	CreatedAt time.Time     `json:"createdAt"`
	Status    string        `json:"status"`
	Resources []string      `json:"resources,omitempty"`
	Tags      []resourceTag `json:"tags,omitempty"`
}

func (s *Simulator) arn(resource string) string {
	return "arn:aws:ses:" + s.region + ":" + snssim.Account + ":" + resource
}

func (s *Simulator) describe(t tenant) map[string]any {
	return map[string]any{
		"TenantName": t.Name, "TenantId": t.ID, "TenantArn": s.arn("tenant/" + t.Name + "/" + t.ID),
		"CreatedTimestamp": float64(t.CreatedAt.UnixMilli()) / 1000, "SendingStatus": t.Status,
	}
}

func noTenant(name string) error { return notFound(fmt.Sprintf("Tenant %s does not exist.", name)) }

// The name has up to 64 letters, digits, hyphens and underscores.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateTenant.html
func (s *Simulator) createTenant(_ *http.Request, body []byte) (any, error) {
	request, err := decode[struct {
		TenantName string
		Tags       []resourceTag
	}](body)
	if err != nil {
		return nil, err
	}
	if len(request.TenantName) == 0 || len(request.TenantName) > 64 || strings.ContainsFunc(request.TenantName, notWord) {
		return nil, badRequest("Tenant name is invalid.")
	}
	var random [12]byte
	if err := s.randomBytes(random[:]); err != nil {
		return nil, err
	}
	made := tenant{
		Name: request.TenantName, ID: fmt.Sprintf("tn-%x", random), CreatedAt: s.now().UTC(), Status: statusEnabled, Tags: request.Tags,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.state.tenants[made.Name]; exists {
		return nil, alreadyExists(fmt.Sprintf("Tenant %s already exists.", made.Name))
	}
	answer := s.describe(made)
	answer["Tags"] = append([]resourceTag{}, made.Tags...)
	return answer, s.commit(entry{At: made.CreatedAt, Tenant: &made})
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetTenant.html
func (s *Simulator) getTenant(_ *http.Request, body []byte) (any, error) {
	request, err := decode[struct{ TenantName string }](body)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, exists := s.state.tenants[request.TenantName]
	if !exists {
		return nil, noTenant(request.TenantName)
	}
	described := s.describe(found)
	described["Tags"] = append([]resourceTag{}, found.Tags...)
	return map[string]any{"Tenant": described}, nil
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListTenants.html
func (s *Simulator) listTenants(_ *http.Request, body []byte) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names, next, err := pageOfBody(body, slices.Collect(maps.Keys(s.state.tenants)))
	if err != nil {
		return nil, err
	}
	listed := make([]map[string]any, len(names))
	for i, name := range names {
		listed[i] = s.describe(s.state.tenants[name])
	}
	return withNext(map[string]any{"Tenants": listed}, next), nil
}

// A tenant can be associated with identities, configuration sets and templates, which must exist.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateTenantResourceAssociation.html
func (s *Simulator) associateTenant(_ *http.Request, body []byte) (any, error) {
	request, err := decode[struct{ TenantName, ResourceArn string }](body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, exists := s.state.tenants[request.TenantName]
	if !exists {
		return nil, noTenant(request.TenantName)
	}
	if !s.hasResource(request.ResourceArn) {
		return nil, notFound(fmt.Sprintf("Resource %s does not exist.", request.ResourceArn))
	}
	if slices.Contains(found.Resources, request.ResourceArn) {
		return nil, alreadyExists("The resource is associated with the tenant already.")
	}
	found.Resources = append(slices.Clone(found.Resources), request.ResourceArn)
	return empty{}, s.commit(entry{At: s.now().UTC(), Tenant: &found})
}

// hasResource reports whether an ARN names an identity or a configuration set. The caller holds mu.
func (s *Simulator) hasResource(arn string) bool {
	if name, found := strings.CutPrefix(arn, s.arn("identity/")); found {
		_, exists := s.state.identities[name]
		return exists
	}
	name, found := strings.CutPrefix(arn, s.arn("configuration-set/"))
	_, exists := s.state.configurationSets[name]
	return found && exists
}

// checkTenant refuses a send through a tenant with which its resources are not associated, or that may not send. SES's
// documents name no text for either.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#SES-SendEmail-request-TenantName
func (s *Simulator) checkTenant(request *sendRequest, sender identity) error {
	if request.TenantName == "" {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found, exists := s.state.tenants[request.TenantName]
	if !exists {
		return noTenant(request.TenantName)
	}
	wanted := []string{s.arn("identity/" + sender.Name)}
	if request.ConfigurationSetName != "" {
		wanted = append(wanted, s.arn("configuration-set/"+request.ConfigurationSetName))
	}
	for _, arn := range wanted {
		if !slices.Contains(found.Resources, arn) {
			return badRequest(fmt.Sprintf("Resource %s is not associated with tenant %s.", arn, found.Name))
		}
	}
	if found.Status == statusDisabled {
		return &apiError{http.StatusBadRequest, "SendingPausedException", "Sending is paused for tenant " + found.Name + "."}
	}
	return nil
}

// DisableTenant stops a tenant, as SES does for its reputation, or lets it send again.
func (s *Simulator) DisableTenant(name string, disabled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, exists := s.state.tenants[name]
	if !exists {
		return noTenant(name)
	}
	found.Status = statusEnabled
	if disabled {
		found.Status = statusDisabled
	}
	return s.commit(entry{At: s.now().UTC(), Tenant: &found})
}

// DissociateTenant takes every resource from a tenant, as deleting and creating the resources does.
func (s *Simulator) DissociateTenant(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, exists := s.state.tenants[name]
	if !exists {
		return noTenant(name)
	}
	found.Resources = nil
	return s.commit(entry{At: s.now().UTC(), Tenant: &found})
}
