package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// sign sets the headers that prove the origin of a delivery: Standard Webhooks 1.0 with a signature per key, and a
// plain HMAC of the body under the first key.
func sign(header http.Header, id uuid.UUID, at time.Time, body []byte, keys []SigningKey) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id.String() + "." + timestamp + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	header.Set("webhook-id", id.String())
	header.Set("webhook-timestamp", timestamp)
	header.Set("webhook-signature", strings.Join(signatures, " "))
	mac := hmac.New(sha256.New, keys[0])
	mac.Write(body)
	header.Set("X-MailStack-Signature", hex.EncodeToString(mac.Sum(nil)))
}
