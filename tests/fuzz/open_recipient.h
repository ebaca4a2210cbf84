/* SPDX-License-Identifier: Apache-2.0 */
/* The recipient that the seeds of the target "open" are encrypted for. Made for it alone; the key
 * is small so that a try is cheap. */
#ifndef FUZZ_OPEN_RECIPIENT_H
#define FUZZ_OPEN_RECIPIENT_H

/* RSA private key of 1024 bits (PKCS #1), base64 of DER. */
static const char RECIPIENT_KEY[] =
    "MIICXQIBAAKBgQC5ec0XubhRPBkjkC0xyC19U+EFek3IiEXHhtGpAHybZWscrlqDazHUvhada35r"
    "W+TF7r2SDvcd0cXVR3OI/tJkB3JrwWAQok6QQIUwlss7i/UMhqAok7AfQas6GRS2SWe3PJBCFBZd"
    "4WWnBb7yHzMy4/MlAnLVAPS0PJ0XD5Qw4QIDAQABAoGALobXY/Q6wGYLCFjKfYpxntbDw9QCXyOQ"
    "HZU8UuDEYVb3n6I9ImppfayRj7u/Yr8SjHRvKYyHgPt2XSInYV5K+E9rH8Mjvw2lDtzx7rhJ+S+P"
    "s5irU89L7fWYIlTWvamBMorSIno9OW5sL0+Otj50AHG1X8CGReK4bTLU8XuuzGECQQDfIO2slqVp"
    "NsbbLNzHgCYo950K8LSY6U53nwdv2cB8pIGX2HfaiI4x923XPplRl9A8AS0CwtbucTRMYdWuVJW7"
    "AkEA1MzVb0wwB1LjplxBtj46vCvaPMrKJOMDF++r6zzqFgepjzfk8K7EKuu0c6u7ongl5kQqPCL/"
    "zQcNJ6I2CKv8EwJBAI2n8xyaO4OToiXt0nDZ2+Awa8RRUuatYAKztN3+6aR4MEo9xMG55kS0qEh5"
    "1o6lii8+M9xH5HpW5nQDvMxDqRcCQEYqN+HXxCpWCVvsJXqasDElYHMVBmv9MiLtUslgr2qOIjln"
    "26QEbAge6cQOBvM+HHj9VtO3UpLe1VaRJLHdS2MCQQCkf3Kmd0nBu9aZhbZf8TTKzVJxWBh+bRYC"
    "csWOsqWWF+Ahr9N+76kRsDahwKeWDtzQStpBXq/EIi5GVgKKlvWN";

/* A certificate for it, base64 of DER. */
static const char RECIPIENT_CERTIFICATE[] =
    "MIIBpjCCAQ+gAwIBAgIBATANBgkqhkiG9w0BAQsFADAZMRcwFQYDVQQDDA5mdXp6IHJlY2lwaWVu"
    "dDAeFw0yNjAxMDEwMDAwMDBaFw00NjAxMDEwMDAwMDBaMBkxFzAVBgNVBAMMDmZ1enogcmVjaXBp"
    "ZW50MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5ec0XubhRPBkjkC0xyC19U+EFek3IiEXH"
    "htGpAHybZWscrlqDazHUvhada35rW+TF7r2SDvcd0cXVR3OI/tJkB3JrwWAQok6QQIUwlss7i/UM"
    "hqAok7AfQas6GRS2SWe3PJBCFBZd4WWnBb7yHzMy4/MlAnLVAPS0PJ0XD5Qw4QIDAQABMA0GCSqG"
    "SIb3DQEBCwUAA4GBABYwkrt2Pg3zJxAUMPy+J44OFm3sgLUhpMkOQZWGWfvXBSuDaq7Ub2uc0dCp"
    "0OKQplNfKe3N6xH2AiHpb9zA5PoqjfGzfTp4JDvcUEdMRc9IejYcAGAAK4GBAyUvgNId9fmzIYtA"
    "u9VnvN8L2kTu5qRajfC1zX7Rk6J8gCr1kjSC";

#endif
