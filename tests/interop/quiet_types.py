# SPDX-License-Identifier: Apache-2.0
"""Import before multiformats and dag_cbor: leaves out their checks of Python types, which take most of the time and say
nothing about formats."""

import typing_validation

typing_validation.validate = lambda value, kind: True
