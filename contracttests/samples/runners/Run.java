/** Runs the samples whose classes are named. */
class Run {
    public static void main(String[] args) throws Exception {
        for (var name : args) {
            System.out.println(name);
            Class.forName(name).getDeclaredMethod("main", String[].class).invoke(null, (Object) new String[0]);
        }
    }
}
