#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
echo "the reason" >&2
exit 1
