# SPDX-License-Identifier: Apache-2.0
"""The checks find what they are there to find."""

import contextlib
import io
import json
import os
import tempfile
import unittest

import exports
import features
import files
import headers
import layering
import source

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
LAYERS = ["base", "codec", "storage", "transport"]


class Tree:
    """A small project in a scratch directory."""

    def __init__(self, contents):
        self.folder = tempfile.TemporaryDirectory()
        self.root = self.folder.name
        for path, text in contents.items():
            place = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write(text)


def run(check, contents, *arguments):
    """The exit status and the output of a check over a tree."""
    tree = Tree(contents)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = check(tree.root, *arguments)
    tree.folder.cleanup()
    return status, output.getvalue()


class Layering(unittest.TestCase):
    def refused(self, path, text, why):
        status, output = run(layering.main, {path: SPDX + text}, LAYERS)
        self.assertEqual(status, 1, output)
        self.assertIn(why, output)

    def accepted(self, path, text):
        status, output = run(layering.main, {path: SPDX + text}, LAYERS)
        self.assertEqual(status, 0, output)

    def test_downwards_and_own_folder(self):
        self.accepted("src/codec/a.c", '#include "base/buf.h"\n#include "codec/a_int.h"\n#include <string.h>\n')

    def test_upwards(self):
        self.refused("src/base/a.c", '#include "codec/json.h"\n', "higher folder codec")

    def test_upwards_with_odd_spacing(self):
        self.refused("src/base/a.c", '  #  include   "codec/json.h"\n', "higher folder codec")

    def test_commented_include_counts_for_nothing(self):
        self.accepted("src/base/a.c", '/* #include "codec/json.h" */\n')

    def test_internal_header_of_another_folder(self):
        self.refused("src/codec/a.c", '#include "base/map_int.h"\n', "internal to base")

    def test_bare_name(self):
        self.refused("src/codec/a.c", '#include "json.h"\n', "does not start with")

    def test_unknown_folder(self):
        self.refused("src/other/a.c", "", "not in the list")

    def test_library_behind_its_seam(self):
        self.refused("src/codec/a.c", "#include <sqlite3.h>\n", "seam of storage")
        self.accepted("src/storage/a.c", "#include <sqlite3.h>\n")

    def test_printing(self):
        self.refused("src/codec/a.c", 'void f(void) { fprintf(stderr, "x"); }\n', "does not print")
        self.accepted("src/codec/a.c", 'void f(void) { snprintf(b, 2, "printf("); }\n')

    def test_memory(self):
        self.refused("src/codec/a.c", "void f(void *p) { free(p); }\n", "base/alloc.h")
        self.accepted("src/codec/a.c", "void f(void *p) { eid_free(p); x->free(p); x.free(p); }\n")
        self.accepted("src/base/alloc.c", "void f(void *p) { free(p); }\n")

    def test_programs_see_the_public_headers(self):
        self.refused("cli/a.c", '#include "base/buf.h"\n', "use the public headers")
        self.accepted("cli/a.c", "#include <eidetica/id.h>\n")
        status, output = run(layering.main, {"cli/a.c": '#include "b.h"\n', "cli/b.h": ""}, LAYERS)
        self.assertEqual(status, 0, output)

    def test_public_headers_stay_small(self):
        self.refused("include/eidetica/a.h", "#include <stdio.h>\n", "smallest C headers")
        self.refused("include/eidetica/a.h", '#include "base/buf.h"\n', "smallest C headers")

    def test_nothing_to_look_at(self):
        self.assertEqual(run(layering.main, {"README.md": ""}, LAYERS)[0], 1)


class Files(unittest.TestCase):
    def refused(self, path, text, why):
        status, output = run(files.main, {path: text})
        self.assertEqual(status, 1, output)
        self.assertIn(why, output)

    def test_a_good_file(self):
        good = {"src/a/a.c": SPDX + "int f(void)\n{\n    return 1;\n}\n", "src/a/README.md": "# a\n"}
        self.assertEqual(run(files.main, good)[0], 0)

    def test_licence_line(self):
        for path in ("a.c", "a.py", "a.sh", "meson.build", "Makefile", ".ci/run"):
            self.refused(path, "x\n", "no SPDX line")

    def test_white_space(self):
        self.refused("a.c", SPDX + "int a; \n", "white space")
        self.refused("a.md", "text \n", "white space")
        self.refused("a.c", SPDX + "int a;\r\n", "a.c:2")
        self.refused("a.c", SPDX + "\tint a;\n", "a tab")
        self.refused("a.c", SPDX + "int a;", "no line end")
        self.refused("a.c", SPDX + "int a;\n\n", "empty lines")

    def test_length(self):
        self.refused("a.c", SPDX + "int a;\n" * 800, "at most 800")

    def test_long_function(self):
        self.refused("a.c", SPDX + "int f(void)\n{\n" + "    g();\n" * 81 + "}\n", "a function of 81 lines")
        self.refused("tests/a.c", SPDX + "void f(void)\n{\n" + "    g();\n" * 151 + "}\n", "at most 150")
        test = {"tests/a.c": SPDX + "void f(void)\n{\n" + "    g();\n" * 81 + "}\n", "tests/README.md": "# t\n"}
        self.assertEqual(run(files.main, test)[0], 0)

    def test_undone(self):
        self.refused("a.c", SPDX + "/* " + "TO" + "DO later */\n", "left undone")
        self.assertEqual(run(files.main, {"a.c": SPDX + 'char t[] = "a-XXXXXX";\n'})[0], 0)

    def test_readme(self):
        self.refused("src/a/a.c", SPDX, "src/a/README.md: missing")


class Headers(unittest.TestCase):
    GOOD = (SPDX + "#ifndef A_H\n#define A_H\n#include <eidetica/export.h>\n#ifdef __cplusplus\n"
            'extern "C" {\n#endif\nEID_API int eid_a(void);\n#ifdef __cplusplus\n}\n#endif\n#endif\n')

    def check(self, text):
        contents = {
            "include/eidetica/export.h": "#ifndef E_H\n#define E_H\n#define EID_API\n#endif\n",
            "include/eidetica/eidetica.h": "#include <eidetica/a.h>\n",
            "include/eidetica/a.h": text,
        }
        status, output = run(lambda root: headers.main(root, ["a.h", "eidetica.h"]), contents)
        return status, output

    def test_a_good_header_beside_an_unlisted_one(self):
        status, output = self.check(self.GOOD)
        self.assertEqual(status, 1)
        self.assertIn("include/eidetica/export.h: not in include/eidetica/meson.build", output)
        self.assertIn("1 problems", output)

    def test_missing_include(self):
        self.assertIn("does not compile alone", self.check(self.GOOD.replace("int eid_a", "size_t eid_a"))[1])

    def test_not_cplusplus(self):
        self.assertIn("as c++", self.check(self.GOOD.replace("eid_a(void)", "eid_a(int class)"))[1])

    def test_no_guard(self):
        guardless = self.GOOD.replace("EID_API int", "typedef struct eid_s { int x; } eid_s;\nEID_API int")
        guardless = guardless.replace("#ifndef A_H\n#define A_H\n", "#ifndef A_H\n")
        self.assertIn("does not compile alone", self.check(guardless)[1])

    def test_macro_magic(self):
        for line, why in (("#define EID_F(x) (x)", "with parameters"), ("#define EID_N sizeof(int)", "plain constant"),
                          ("static inline int eid_i(void) { return 1; }", "inline")):
            self.assertIn(why, self.check(self.GOOD.replace("EID_API int", line + "\nEID_API int"))[1])

    def test_plain_constants(self):
        for line in ("#define EID_N 12", "#define EID_N 0x10u", '#define EID_N "text"', "#define EID_N (1u << 20)"):
            self.assertIn("1 problems", self.check(self.GOOD.replace("EID_API int", line + "\nEID_API int"))[1])

    def test_comments_name_what_exists(self):
        for comment, why in (("As eid_gone does.", "names eid_gone"), ("See spec a.md.", "not installed")):
            self.assertIn(why, self.check(self.GOOD.replace("EID_API int", f"/* {comment} */\nEID_API int"))[1])
        for comment in ("As eid_a does.", 'The text "EID_ERR_NONE".'):
            self.assertIn("1 problems", self.check(self.GOOD.replace("EID_API int", f"/* {comment} */\nEID_API int"))[1])

    def test_forgotten_export(self):
        self.assertIn("without EID_API", self.check(self.GOOD.replace("EID_API int", "int"))[1])


class Exports(unittest.TestCase):
    def test_declarations_are_found(self):
        tree = Tree({"include/eidetica/a.h": SPDX + "EID_API int eid_a(void);\n/* EID_API int eid_no(void); */\n"
                     "EID_API eid_status eid_b(const char *x,\n    int y);\nEID_API extern const char eid_c[];\n"})
        self.assertEqual(exports.declared(tree.root), {"eid_a", "eid_b", "eid_c"})
        tree.folder.cleanup()


class Features(unittest.TestCase):
    LIST = "# a list\n\n## First\n\n1: One thing: eid_a\n2: Another\n    not there yet\n"
    TEST = SPDX + "/* Feature 1 */\nstatic void one(void **state)\n{\n}\n"

    def check(self, contents, run_in_build="tests/a.c"):
        """The output of the check when the page was written just before."""
        tree = Tree({"include/eidetica/a.h": "EID_API int eid_a(void);\n", features.LIST: self.LIST, "tests/a.c": self.TEST,
                     "docs/x": "", **contents})
        info = os.path.join(tree.root, "build", "meson-info")
        os.makedirs(info)
        for name, content in (
                ("intro-targets.json", [{"id": "t", "target_sources": [{"sources": [os.path.join(tree.root, run_in_build)]}]}]),
                ("intro-tests.json", [{"name": "program", "cmd": ["t"], "depends": ["t"]}])):
            with open(os.path.join(info, name), "w", encoding="utf-8") as file:
                json.dump(content, file)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            features.main(tree.root, os.path.dirname(info), write=features.PAGE not in contents)
            features.main(tree.root, os.path.dirname(info))
        page = source.read(tree.root, features.PAGE)
        tree.folder.cleanup()
        return output.getvalue(), page

    def test_a_page(self):
        output, page = self.check({})
        self.assertEqual(output.count("2 checked, 0 problems"), 2, output)
        self.assertIn("| 1 | One thing: `eid_a` | program: `one` |\n| 2 | Another | *not there yet* |\n", page)

    def test_stale(self):
        self.assertIn("is stale", self.check({features.PAGE: "old\n"})[0])

    def test_shown_by_nothing(self):
        self.assertIn("nothing shows feature 1", self.check({"tests/a.c": SPDX})[0])
        self.assertIn("nothing shows feature 2", self.check({features.LIST: self.LIST.replace("    not there yet\n", "")})[0])

    def test_unknown(self):
        self.assertIn("no feature 7", self.check({"tests/a.c": self.TEST.replace("Feature 1", "Features 1, 7")})[0])
        self.assertIn("names eid_a, which no", self.check({"include/eidetica/a.h": "EID_API int eid_ab(void);\n"})[0])

    def test_twice(self):
        self.assertIn("1 stands there twice", self.check({features.LIST: self.LIST + "1: Again\n"})[0])

    def test_tag_without_a_test(self):
        self.assertIn("not stand above a test", self.check({"tests/a.c": self.TEST.replace("static void", "\nstatic void")})[0])
        self.assertIn("no test of the build runs it", self.check({}, run_in_build="tests/b.c")[0])

    def test_python(self):
        text = "# Features 1, 2\n@with_screen\ndef test_both(stage):\n    pass\n"
        self.assertEqual(list(features.tags_of("a.py", text)), [("1", "test_both"), ("2", "test_both")])
        self.assertEqual(list(features.tags_of("a.py", text.replace("test_both", "helper"))), [("1", None), ("2", None)])


class Source(unittest.TestCase):
    def test_comments_go_and_lines_stay(self):
        text = 'a /* one\ntwo */ b "/* kept */" // end\nc'
        self.assertEqual(source.without_comments(text), 'a \n  b "/* kept */"  \nc')
        self.assertEqual(source.without_comments(text, literals=True), 'a \n  b ""  \nc')


if __name__ == "__main__":
    unittest.main()
