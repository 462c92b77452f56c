package ses

import (
	"context"
	"errors"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
)

// DeleteSuppressed removes an address from the account's suppression list. Entries are case-sensitive: the address
// must be written as in the messages that were sent to it.
// https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list-tenant-level-manage.html
// An address that is not on the list is no error, nor is one that SES considers invalid: it cannot be on the list.
func (c *Client) DeleteSuppressed(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	_, err := c.admin.DeleteSuppressedDestination(ctx, &sesv2.DeleteSuppressedDestinationInput{
		EmailAddress: aws.String(address),
	})
	if err == nil {
		return nil
	}
	// The URL contains the address, and errors are logged.
	var request *url.Error
	if errors.As(err, &request) {
		request.URL = "the suppressed destination"
	}
	failure := newError(ctx, "DeleteSuppressedDestination", a, err)
	if failure.Class == NotFound || failure.Code == "BadRequestException" {
		return nil
	}
	return failure
}
