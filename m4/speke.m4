dnl SPDX-License-Identifier: Apache-2.0
dnl SPEKE_TRY_CFLAG(FLAG): adds FLAG to SPEKE_CFLAGS when the compiler takes it without a word.
AC_DEFUN([SPEKE_TRY_CFLAG], [
  AC_MSG_CHECKING([whether $CC takes $1])
  speke_saved_cflags="$CFLAGS"
  CFLAGS="-Werror $1"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes])
     SPEKE_CFLAGS="$SPEKE_CFLAGS $1"],
    [AC_MSG_RESULT([no])])
  CFLAGS="$speke_saved_cflags"
])
