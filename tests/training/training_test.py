# SPDX-License-Identifier: Apache-2.0
"""What the tests of training/ share: its modules on the path, and unittest's results as TAP."""
import os
import sys
import unittest

SOURCE = os.environ.get("SOURCE_DIR", os.path.join(os.path.dirname(__file__), "../.."))
TRAINING = os.path.join(SOURCE, "training")
CONTEXTS = os.path.join(TRAINING, "contexts")

sys.dont_write_bytecode = True              # the source may be read-only
sys.path.insert(0, TRAINING)


class _Result(unittest.TestResult):
    def say(self, word, test, more=""):
        name = (test.shortDescription() or str(test)).rstrip(".")
        print(f"{word} {self.testsRun} - {name}{more}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("ok", test, f" # SKIP {reason}")

    def _fail(self, test, failures):
        self.say("not ok", test)
        print("# " + failures[-1][1].replace("\n", "\n# "), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, self.failures)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._fail(subtest, self.failures if issubclass(err[0], test.failureException) else self.errors)

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, self.errors)


def main():
    """Run the tests of the calling script; the first line of each docstring is its rule."""
    result = _Result()
    unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]).run(result)
    print(f"1..{result.testsRun}")
    sys.exit(not result.wasSuccessful())
