#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
echo "no such feature"
exit 4
