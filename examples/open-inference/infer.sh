#!/bin/sh
# Asks an endpoint for predictions, with nothing but curl.
#   CONCORDAT_URL=http://localhost:4000 CONCORDAT_KEY=ck_… sh infer.sh ENDPOINT PURPOSE '[{"name": …}, …]'
set -eu
curl --silent --show-error --fail-with-body "$CONCORDAT_URL/v2/models/$1/infer" \
  --header "authorization: Bearer $CONCORDAT_KEY" \
  --header 'content-type: application/json' \
  --data "{\"parameters\":{\"purpose\":\"$2\"},\"inputs\":$3}"
