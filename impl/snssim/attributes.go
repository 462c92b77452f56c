package snssim

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/voostack/mailstack/impl/snssim/policies"
)

const (
	attributePolicy   = "Policy"
	attributeRaw      = "RawMessageDelivery"
	attributeRedrive  = "RedrivePolicy"
	attributeDelivery = "DeliveryPolicy"
	// highestReceiveCount is the most that SQS takes as maxReceiveCount.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue.html
	highestReceiveCount = 1000
)

// feedback matches the attributes of a topic that log deliveries, which nothing simulates.
var feedback = regexp.MustCompile(`^(HTTP|Firehose|Lambda|Application|SQS)(Success|Failure)Feedback(RoleArn|SampleRate)$`)

// checkTopicAttribute takes what the API reference lists.
// https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html
func checkTopicAttribute(name, value string) error {
	switch name {
	case attributePolicy, attributeDelivery:
		if !json.Valid([]byte(value)) {
			return invalid(name + ": it is not JSON")
		}
	case "SignatureVersion":
		if value != "1" && value != "2" {
			return invalid("SignatureVersion")
		}
	case "DisplayName", "TracingConfig", "KmsMasterKeyId", "ArchivePolicy", "ContentBasedDeduplication", "FifoThroughputScope", "FifoTopic",
		"MaximumMessageSize":
	default:
		if !feedback.MatchString(name) {
			return invalid("AttributeName")
		}
	}
	return nil
}

// checkSubscriptionAttribute takes what the API reference lists. The dead-letter queue must be in the account and region
// of the topic.
//   - https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html
//   - https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
func (s *Simulator) checkSubscriptionAttribute(name, value string) error {
	switch name {
	case attributeRaw:
		if value != "true" && value != "false" {
			return invalid(name)
		}
	case attributeRedrive:
		if deadLetters(value) == "" || deadLetters(value) != s.queueARN(nameOfARN(deadLetters(value))) {
			return invalid("RedrivePolicy: the dead-letter queue is none of this account and region")
		}
	case attributeDelivery:
		if err := policies.CheckDelivery(value); err != nil {
			return invalid(err.Error())
		}
	case "FilterPolicy", "FilterPolicyScope", "ReplayPolicy", "SubscriptionRoleArn":
	default:
		return invalid("AttributeName")
	}
	return nil
}

func (s *Simulator) checkSubscriptionAttributes(attributes map[string]string) error {
	for name, value := range attributes {
		if err := s.checkSubscriptionAttribute(name, value); err != nil {
			return err
		}
	}
	return nil
}

// deadLetters returns the ARN of the dead-letter queue that a redrive policy names, or "".
func deadLetters(redrivePolicy string) string {
	var policy struct {
		DeadLetterTargetARN string `json:"deadLetterTargetArn"`
	}
	if json.Unmarshal([]byte(redrivePolicy), &policy) != nil {
		return ""
	}
	return policy.DeadLetterTargetARN
}

// numbers are the least and the greatest values of the attributes of a queue.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
func numbers() map[string][2]int {
	return map[string][2]int{
		"DelaySeconds": {0, 900}, "MaximumMessageSize": {1024, 1 << 20}, "MessageRetentionPeriod": {60, 1_209_600},
		"ReceiveMessageWaitTimeSeconds": {0, 20}, "VisibilityTimeout": {0, 43_200}, "KmsDataKeyReusePeriodSeconds": {60, 86_400},
	}
}

// checkQueueAttributes takes what the API reference lists.
func checkQueueAttributes(attributes map[string]string) error {
	for name, value := range attributes {
		bounds, number := numbers()[name]
		ok := true
		switch {
		case number:
			n, err := strconv.Atoi(value)
			ok = err == nil && n >= bounds[0] && n <= bounds[1]
		case name == attributePolicy || name == "RedriveAllowPolicy":
			ok = json.Valid([]byte(value))
		case name == attributeRedrive:
			count, known := receiveCount(value)
			ok = known && count >= 1 && count <= highestReceiveCount
		case !slices.Contains([]string{
			"KmsMasterKeyId", "SqsManagedSseEnabled", "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit",
		}, name):
			return &Refusal{http.StatusBadRequest, "InvalidAttributeName", "Unknown attribute " + name + "."}
		}
		if !ok {
			return &Refusal{http.StatusBadRequest, "InvalidAttributeValue", "Invalid value for the attribute " + name + "."}
		}
	}
	return nil
}

// queueAttributeNames are the attributes that can be read.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
func queueAttributeNames() []string {
	return []string{
		attributePolicy, attributeRedrive, "RedriveAllowPolicy", attributeARN, "ApproximateNumberOfMessages",
		"ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed", "CreatedTimestamp", "LastModifiedTimestamp",
		"VisibilityTimeout", "MaximumMessageSize", "MessageRetentionPeriod", "DelaySeconds", "ReceiveMessageWaitTimeSeconds",
		"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled", "FifoQueue", "ContentBasedDeduplication",
		"DeduplicationScope", "FifoThroughputLimit",
	}
}
